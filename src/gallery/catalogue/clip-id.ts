import { randomBytes } from 'node:crypto'
import type { ClipId } from '../../domain/ids.js'
import { AppError } from '../../errors.js'

// Crockford's base 32: it has no ambiguous characters, and it sorts like ASCII.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const NUMBER_DIGITS = 7
const KEY_DIGITS = 9
const SHAPE = new RegExp(`^[${ALPHABET}]{${NUMBER_DIGITS + KEY_DIGITS}}$`)

/**
 * The parts of a clip id. `number` keeps pages stable after a clip is removed. `key` makes the id
 * hard to guess.
 */
export interface ClipIdParts {
  readonly number: number
  readonly key: string
}

/** Returns a random key for a new clip. */
export function newClipKey(): string {
  return Array.from(randomBytes(KEY_DIGITS), (byte) => ALPHABET[byte % 32]).join('')
}

/** Returns the id of a clip, made of its number and key. */
export function clipId({ number, key }: ClipIdParts): ClipId {
  let digits = ''
  for (let rest = number; rest > 0; rest = Math.floor(rest / 32))
    digits = ALPHABET[rest % 32] + digits
  return digits.padStart(NUMBER_DIGITS, '0') + key
}

/** Returns the parts of a clip id, or undefined if the text is not a clip id. */
export function parseClipId(id: ClipId): ClipIdParts | undefined {
  if (!SHAPE.test(id)) return undefined
  let number = 0
  for (const digit of id.slice(0, NUMBER_DIGITS)) number = number * 32 + ALPHABET.indexOf(digit)
  return { number, key: id.slice(NUMBER_DIGITS) }
}

/** Returns the error CLIP_NOT_FOUND for a clip. */
export function clipNotFound(id: ClipId): AppError {
  return new AppError('CLIP_NOT_FOUND', `The library has no clip ${id}.`)
}
