import { InvalidArgumentError, Option } from 'commander'
import { ERROR_TITLES, type ErrorCode } from '../errors.js'

/** Returns a parser for whole numbers from 1 to `max`. */
export const wholeNumber =
  (max: number) =>
  (text: string): number => {
    const number = Number(text)
    if (Number.isInteger(number) && number >= 1 && number <= max) return number
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`)
  }

/** Returns a text value. Refuses an option in its position, as in `--data --json`. */
export function text(value: string): string {
  if (!value.startsWith('--')) return value
  throw new InvalidArgumentError('A value cannot begin with --.')
}

/** Appends a value to those of a repeatable option. */
export const texts = (value: string, previous: readonly string[] = []): readonly string[] => [
  ...previous,
  text(value),
]

/** Returns the repeatable option that selects failures by their error code. */
export const reasonOption = (): Option =>
  new Option('--reason <code>', 'retry only files with this error code (repeatable)').argParser(
    (code: string, previous: readonly ErrorCode[] = []) => [...previous, errorCode(code)],
  )

function errorCode(code: string): ErrorCode {
  if (Object.hasOwn(ERROR_TITLES, code)) return code as ErrorCode
  throw new InvalidArgumentError('Expected a code of docs/errors.md.')
}
