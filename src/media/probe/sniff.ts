import { AppError } from '../../errors.js'
import type { OpenedFile } from '../../storage/opened-file.js'
import { HEIF_ITEMS_BYTES, hasTiles, heifUnsupported, isHeif } from '../staging/heif.js'

const HEAD_BYTES = 4096

/**
 * Rejects files that must not reach ffmpeg, by content and never by name. Throws MEDIA_EMPTY,
 * MEDIA_IS_TEXT, MEDIA_IS_ARCHIVE, MEDIA_IS_PLAYLIST or MEDIA_HEIF_UNSUPPORTED.
 */
export async function sniff(file: OpenedFile): Promise<void> {
  const { name } = file
  const head = await file.read(HEAD_BYTES, 0)
  if (head.length === 0)
    throw new AppError('MEDIA_EMPTY', `Expected media, got a file of 0 bytes: ${name}`)

  if (isHeif(head) && hasTiles(await file.read(HEIF_ITEMS_BYTES, 0))) {
    throw heifUnsupported(name, 'in tiles, which Earshot does not assemble')
  }

  const archive = archiveOf(head)
  if (archive !== null) {
    const detail = `Expected media, got a ${archive} archive (${name}): unpack it and add its files`
    throw new AppError('MEDIA_IS_ARCHIVE', detail)
  }

  const text = textOf(head)
  if (text === null) return
  const playlist = PLAYLISTS.find(([, pattern]) => pattern.test(text))
  if (playlist !== undefined) {
    const detail =
      `Expected media, got a ${playlist[0]} playlist (${name}): ` +
      'add the media files that it lists'
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: media have them, text has not
const CONTROL = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/

/** Returns the head of a file as text, or null if it is not text. */
function textOf(head: Buffer): string | null {
  const encoding = utf16Of(head) ?? 'utf-8'
  // A control character is one byte in every encoding but UTF-16. Nearly all media return here.
  if (encoding === 'utf-8' && CONTROL.test(head.toString('latin1'))) return null
  const text = decodeText(head, encoding)?.trimStart() ?? null
  return text === null || CONTROL.test(text) ? null : text
}

function decodeText(head: Buffer, encoding: string): string | null {
  try {
    // Streaming, since the head may end inside a character.
    return new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true })
  } catch {
    return isMostlyAscii(head) ? head.toString('latin1') : null
  }
}

/** Returns the UTF-16 encoding of a file with a byte order mark, or with every other byte zero. */
function utf16Of(head: Buffer): 'utf-16le' | 'utf-16be' | null {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be'
  const start = head.subarray(0, 64)
  if (start.length < 8) return null
  const zeros = (parity: number) => start.every((byte, i) => (i % 2 === parity) === (byte === 0))
  if (zeros(1)) return 'utf-16le'
  return zeros(0) ? 'utf-16be' : null
}

/** Returns whether bytes are likely Latin-1 or similar, as in old subtitles and playlists. */
function isMostlyAscii(head: Buffer): boolean {
  return head.filter((byte) => byte < 0x80).length > head.length * 0.85
}
