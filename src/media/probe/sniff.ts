import { AppError } from '../../errors.js'
import type { OpenedFile } from '../../storage/opened-file.js'
import { HEIF_ITEMS_BYTES, hasTiles, heifUnsupported, isHeif } from '../staging/heif.js'

const HEAD_BYTES = 4096

/** Refuses, by content and never by name, what must not reach ffmpeg at all. */
export async function sniff(file: OpenedFile): Promise<void> {
  const { name } = file
  const head = await file.read(HEAD_BYTES, 0)
  if (head.length === 0)
    throw new AppError('MEDIA_EMPTY', `Expected media, got a file of 0 bytes: ${name}`)

  if (isHeif(head) && hasTiles(await file.read(HEIF_ITEMS_BYTES, 0))) {
    throw heifUnsupported(name, 'in tiles, which Earshot does not put together')
  }

  const archive = archiveOf(head)
  if (archive !== null) {
    throw new AppError(
      'MEDIA_IS_ARCHIVE',
      `${name} is a ${archive} archive: unpack it and add what is inside`,
    )
  }

  const text = textOf(head)
  if (text === null) return
  const playlist = PLAYLISTS.find(([, pattern]) => pattern.test(text))
  if (playlist !== undefined) {
    const detail = `${name} is a playlist (${playlist[0]}): add the media files that it names instead`
    throw new AppError('MEDIA_IS_PLAYLIST', detail)
  }
  throw new AppError('MEDIA_IS_TEXT', `Expected media, got text: ${name}`)
}

const ARCHIVES: readonly (readonly [name: string, magic: string, offset?: number])[] = [
  ['zip', 'PK\x03\x04'],
  ['zip', 'PK\x05\x06'],
  ['zip', 'PK\x07\x08'],
  ['gzip', '\x1f\x8b\x08'],
  ['7z', '7z\xbc\xaf\x27\x1c'],
  ['rar', 'Rar!\x1a\x07'],
  ['xz', '\xfd7zXZ\x00'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['bzip2', 'BZh'],
  ['tar', 'ustar', 257],
]

function archiveOf(head: Buffer): string | null {
  const bytes = head.toString('latin1')
  const found = ARCHIVES.find(([, magic, offset = 0]) => bytes.startsWith(magic, offset))
  return found?.[0] ?? null
}

const PLAYLISTS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['m3u', /^#EXT(M3U|INF|-X-)/i],
  ['pls', /^\[playlist\]/i],
  ['ffconcat', /^ffconcat version/i],
  ['xspf', /<playlist[\s>]/i],
  ['asx', /^<asx[\s>]/i],
  ['asx', /^\[reference\]/i],
  ['smil', /<smil[\s>]/i],
  ['DASH', /<MPD[\s>]/],
  ['smooth streaming', /<SmoothStreamingMedia[\s>]/i],
  ['sdp', /^v=0\r?\n[a-z]=/],
  ['cue', /^(REM|PERFORMER|TITLE|CATALOG|FILE)\s[\s\S]*^\s*TRACK \d+ /im],
]

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what tells media from text
const CONTROL = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/

/** The head as text, or null for bytes that no text holds. */
function textOf(head: Buffer): string | null {
  const encoding = utf16Of(head) ?? 'utf-8'
  // Told from the bytes, where each control character is one: nearly all media ends here.
  if (encoding === 'utf-8' && CONTROL.test(head.toString('latin1'))) return null
  const text = decodeText(head, encoding)?.trimStart() ?? null
  return text === null || CONTROL.test(text) ? null : text
}

function decodeText(head: Buffer, encoding: string): string | null {
  try {
    // Streaming, because the head may end inside a character.
    return new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true })
  } catch {
    return mostlyAscii(head) ? head.toString('latin1') : null
  }
}

/** UTF-16 by its mark, or by every other byte of the first ones being zero. */
function utf16Of(head: Buffer): 'utf-16le' | 'utf-16be' | null {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be'
  const start = head.subarray(0, 64)
  if (start.length < 8) return null
  const zeros = (parity: number) => start.every((byte, i) => (i % 2 === parity) === (byte === 0))
  if (zeros(1)) return 'utf-16le'
  return zeros(0) ? 'utf-16be' : null
}

/** Latin-1 and its kin: old subtitles and play lists. */
function mostlyAscii(head: Buffer): boolean {
  return head.filter((byte) => byte < 0x80).length > head.length * 0.85
}
