import type { OpenedFile } from '../../storage/opened-file.js'

/**
 * ffmpeg reads this many bytes before it guesses the format. A longer tag hides the audio from it.
 */
const FFMPEG_PROBE_BYTES = 2 ** 20
const HEADER_BYTES = 10
const MARGIN_BYTES = 64 * 1024
/** Maximum number of tags read in one file. One tag may be 256 MiB long. */
const MAX_TAGS = 64

/**
 * Returns the bytes of ID3v2 tags (id3.org, section 3.1) before the audio if they hide it from
 * ffmpeg, else 0. Returns 0 for MPEG audio after one tag: ffmpeg finds it and reads the cover art
 * in the tag.
 */
export async function hiddenTagBytes(file: OpenedFile): Promise<number> {
  let offset = 0
  let count = 0
  for (; count < MAX_TAGS; count++) {
    const length = tagLength(await file.read(HEADER_BYTES, offset))
    if (length === 0) break
    offset += length
  }
  if (offset < FFMPEG_PROBE_BYTES - MARGIN_BYTES || offset >= file.bytes) return 0
  return count === 1 && isMpegAudio(await file.read(2, offset)) ? 0 : offset
}

/** Returns the length of a tag in bytes, including header and footer, or 0 if there is no tag. */
function tagLength(header: Buffer): number {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, 3) !== 'ID3') return 0
  const size = header.subarray(6, 10)
  if (size.some((byte) => byte > 0x7f)) return 0
  const hasFooter = ((header[5] ?? 0) & 0x10) !== 0
  return (
    HEADER_BYTES + size.reduce((sum, byte) => sum * 128 + byte, 0) + (hasFooter ? HEADER_BYTES : 0)
  )
}

/** Returns whether a frame is MPEG audio of layer I to III. An AAC frame has layer 0. */
function isMpegAudio([first = 0, second = 0]: Buffer): boolean {
  return first === 0xff && (second & 0xe0) === 0xe0 && (second & 0x06) !== 0
}
