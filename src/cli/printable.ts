/**
 * Text of others, such as the name of a file, fit for one line of a terminal: control characters,
 * line breaks and marks of direction are shown as escapes and have no effect.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`
  })
}

/** Returns exact JSON that has no effect on a terminal: what JSON itself leaves as it is, is escaped too. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${hex(character.codePointAt(0) ?? 0, 4)}`,
  )
}

// Controls, line and paragraph separators, and the marks that turn the direction of what follows.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')
