import type { OpenedFile } from '../../storage/opened-file.js'

/** ffmpeg looks this far before it guesses the format: a longer tag hides what comes after it. */
const LOOKED_AT_BYTES = 2 ** 20
const HEADER_BYTES = 10
const MARGIN_BYTES = 64 * 1024
/** Of one file; each may be 256 MiB long. */
const MOST_TAGS = 64

/**
 * How many bytes of ID3v2 tags (id3.org, section 3.1) stand before the sound, if they are so many that
 * ffmpeg would not see the sound; else 0. MPEG audio after one tag needs no help, and ffmpeg reads its cover art.
 */
export async function hiddenTagBytes(file: OpenedFile): Promise<number> {
  let at = 0
  let count = 0
  for (; count < MOST_TAGS; count++) {
    const length = tagLength(await file.read(HEADER_BYTES, at))
    if (length === 0) break
    at += length
  }
  if (at < LOOKED_AT_BYTES - MARGIN_BYTES || at >= file.bytes) return 0
  return count === 1 && isMpegAudio(await file.read(2, at)) ? 0 : at
}

/** Length of a tag with its header and footer; 0 where there is none. */
function tagLength(header: Buffer): number {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, 3) !== 'ID3') return 0
  const size = header.subarray(6, 10)
  if (size.some((byte) => byte > 0x7f)) return 0
  const hasFooter = ((header[5] ?? 0) & 0x10) !== 0
  return (
    HEADER_BYTES + size.reduce((sum, byte) => sum * 128 + byte, 0) + (hasFooter ? HEADER_BYTES : 0)
  )
}

/** A frame of layer I to III; that of AAC looks alike, but for its layer of 0. */
function isMpegAudio([first = 0, second = 0]: Buffer): boolean {
  return first === 0xff && (second & 0xe0) === 0xe0 && (second & 0x06) !== 0
}
