/** Names on disk are bytes, and not always UTF-8. */

/** The bytes as text; null where they are no UTF-8. */
export function textOf(bytes: Buffer): string | null {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : null
}

/** The bytes for people and logs: what is no UTF-8 as `\xNN`. */
export function shownOf(bytes: Buffer): string {
  const text = textOf(bytes)
  if (text !== null) return text
  return Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('')
}

export const joined = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat(folder.at(-1) === SLASH ? [folder, name] : [folder, Buffer.of(SLASH), name])

const SLASH = 0x2f
