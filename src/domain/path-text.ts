/**
 * Paths on disk are bytes, and not always UTF-8. Every one has one text, by which it is known everywhere but at the file
 * system's door: ordinary ones their own, and in others each byte that is no UTF-8 is `\xNN`. A backslash that could be
 * taken for the beginning of such a byte is `\x5c`.
 */

/** The text of a path as the system has it. */
export function pathText(bytes: Buffer): string {
  if (isWindows) return bytes.toString()
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at)
    const isPlain =
      character !== null &&
      !(character === '\\' && LOOKS_ESCAPED.test(bytes.toString('latin1', at, at + 4)))
    text += isPlain ? character : `\\x${bytes.toString('hex', at, at + 1)}`
    at += isPlain ? Buffer.byteLength(character) : 1
  }
  return text
}

/** The path of a text, for the system. */
export function pathBytes(text: string): Buffer {
  if (isWindows) return Buffer.from(text)
  const parts = text.split(ESCAPED)
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  )
}

/** The one text of the path that a text stands for. */
export const plainPath = (text: string): string => pathText(pathBytes(text))

export const joinedPath = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat(folder.at(-1) === SLASH ? [folder, name] : [folder, Buffer.of(SLASH), name])

const SLASH = 0x2f
const isWindows = process.platform === 'win32' // where names are UTF-16, and a backslash parts them

// Nothing that is ASCII but the backslash, so that no text hides a slash or a dot.
const ESCAPED = /\\x([89a-f][0-9a-f]|5c)/
const LOOKS_ESCAPED = /^\\x([89a-f][0-9a-f]|5c)/

/** Null where the bytes are no character. */
function characterAt(bytes: Buffer, at: number): string | null {
  for (let length = 1; length <= 4; length++) {
    const some = bytes.subarray(at, at + length)
    const text = some.toString()
    if (Buffer.from(text).equals(some)) return text
  }
  return null
}
