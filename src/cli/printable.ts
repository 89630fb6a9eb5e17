/**
 * Returns text, such as the name of a file, as one line that has no effect on a terminal. Escapes
 * replace control characters, line breaks and marks of direction.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`
  })
}

/** Returns exact JSON that has no effect on a terminal. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${hex(character.codePointAt(0) ?? 0, 4)}`,
  )
}

// Controls, line and paragraph separators, and marks that change the direction of text.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')
