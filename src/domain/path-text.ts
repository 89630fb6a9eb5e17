/**
 * A path on disk is a sequence of bytes, which is not always UTF-8. Each path has exactly one text.
 * All code uses the text, except for calls to the file system. A byte that is not UTF-8 is written
 * as `\xNN` in the text. A backslash is written as `\x5c` if it could be read as the start of such
 * an escape.
 */

/** Returns the text of a path. */
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

/** Returns the path of a text, as bytes. */
export function pathBytes(text: string): Buffer {
  if (isWindows) return Buffer.from(text)
  const parts = text.split(ESCAPED)
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  )
}

/** Returns the unique text of the path of `text`. */
export const plainPath = (text: string): string => pathText(pathBytes(text))

/** Returns the path of an entry of a folder, as bytes. */
export const joinedPath = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat(folder.at(-1) === SLASH ? [folder, name] : [folder, Buffer.of(SLASH), name])

const SLASH = 0x2f
const isWindows = process.platform === 'win32' // names are UTF-16, and the separator is a backslash

// The only ASCII character that can be escaped is the backslash, so no text hides a slash or a dot.
const ESCAPED = /\\x([89a-f][0-9a-f]|5c)/
const LOOKS_ESCAPED = /^\\x([89a-f][0-9a-f]|5c)/

/** Returns the character at an offset, or null if the bytes are not UTF-8. */
function characterAt(bytes: Buffer, at: number): string | null {
  for (let length = 1; length <= 4; length++) {
    const slice = bytes.subarray(at, at + length)
    const text = slice.toString()
    if (Buffer.from(text).equals(slice)) return text
  }
  return null
}
