import { AppError } from '../errors.js'
import type { OptionValue } from './command.js'

/** A whole number from 1 to `most` given as an option. */
export function countOption(
  name: string,
  value: OptionValue,
  { most, otherwise }: { readonly most: number; readonly otherwise: number },
): number {
  if (value === undefined) return otherwise
  const count = Number(value)
  if (Number.isInteger(count) && count >= 1 && count <= most) return count
  throw new AppError('USAGE', `--${name} is a whole number from 1 to ${most}, not "${value}".`)
}

/** One of some words given as an option. */
export function choiceOption<Choice extends string>(
  name: string,
  value: OptionValue,
  { choices, otherwise }: { readonly choices: readonly Choice[]; readonly otherwise: Choice },
): Choice {
  if (value === undefined) return otherwise
  const choice = choices.find((each) => each === value)
  if (choice !== undefined) return choice
  throw new AppError('USAGE', `--${name} is ${choices.join(' or ')}, not "${value}".`)
}

/** What was given of an option that may be repeated. */
export const listOption = (value: OptionValue): readonly string[] =>
  Array.isArray(value) ? value : []
