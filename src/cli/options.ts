import { AppError } from '../errors.js'

/** A whole number from 1 to `most` given as an option. */
export function countOption(
  name: string,
  value: string | boolean | undefined,
  { most, otherwise }: { readonly most: number; readonly otherwise: number },
): number {
  if (value === undefined) return otherwise
  const count = Number(value)
  if (Number.isInteger(count) && count >= 1 && count <= most) return count
  throw new AppError('USAGE', `--${name} is a whole number from 1 to ${most}, not "${value}".`)
}
