import { randomBytes } from 'node:crypto'
import type { ClipId } from '../../domain/ids.js'
import { AppError } from '../../errors.js'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford's base 32: nothing to mistake, and sorted as ASCII is
const NUMBER_DIGITS = 7
const KEY_DIGITS = 9
const SHAPE = new RegExp(`^[${ALPHABET}]{${NUMBER_DIGITS + KEY_DIGITS}}$`)

/** What a clip's id is made of: the number keeps pages going where a clip was removed, the key cannot be guessed. */
export interface ClipIdParts {
  readonly number: number
  readonly key: string
}

export function newClipKey(): string {
  return Array.from(randomBytes(KEY_DIGITS), (byte) => ALPHABET[byte % 32]).join('')
}

export function clipId({ number, key }: ClipIdParts): ClipId {
  let digits = ''
  for (let rest = number; rest > 0; rest = Math.floor(rest / 32))
    digits = ALPHABET[rest % 32] + digits
  return digits.padStart(NUMBER_DIGITS, '0') + key
}

/** Undefined for what no catalogue has ever called a clip. */
export function parseClipId(id: ClipId): ClipIdParts | undefined {
  if (!SHAPE.test(id)) return undefined
  let number = 0
  for (const digit of id.slice(0, NUMBER_DIGITS)) number = number * 32 + ALPHABET.indexOf(digit)
  return { number, key: id.slice(NUMBER_DIGITS) }
}
export function clipNotFound(id: ClipId): AppError {
  return new AppError('CLIP_NOT_FOUND', `The library has no clip ${id}.`)
}
