import type { OpenedFile } from '../../../storage/opened-file.js'

/** A box of an MP4 file (ISO/IEC 14496-12, 4.2). */
export interface Box {
  readonly type: string
  readonly body: Buffer
}

/** Over an hour of media. For a longer file the cost of an ffprobe process does not matter. */
const MAX_MOVIE_BYTES = 2 ** 20
const MAX_TOP_BOXES = 64
/** Boxes allowed next to `moov`. Fragments are not: no box states their total length. */
const ALLOWED_TOP_TYPES = ['ftyp', 'mdat', 'free', 'skip', 'wide']

/**
 * Reads the body of the one `moov` box of a file. Returns null if the file has another structure.
 */
export async function readMovie(file: OpenedFile): Promise<Buffer | null> {
  const size = file.bytes
  let movie: Buffer | null = null
  let offset = 0
  for (let count = 0; offset < size; count++) {
    const { type, headerLength, length } = parseHeader(await file.read(16, offset))
    if (count === MAX_TOP_BOXES || length < headerLength || offset + length > size) return null
    if (count === 0 && type !== 'ftyp') return null
    if (type === 'moov') {
      if (movie || length > MAX_MOVIE_BYTES) return null
      movie = await file.read(length - headerLength, offset + headerLength)
    } else if (!ALLOWED_TOP_TYPES.includes(type)) return null
    offset += length
  }
  return movie
}

/**
 * Returns the boxes that fill a buffer from offset `from` on. Throws RangeError if they do not fit.
 */
export function boxesIn(buffer: Buffer, from = 0): Box[] {
  const boxes: Box[] = []
  for (let offset = from; offset < buffer.length; ) {
    const { type, headerLength, length } = parseHeader(buffer.subarray(offset))
    if (length < headerLength || offset + length > buffer.length)
      throw new RangeError(`Expected box ${type} to fit its parent, got ${length} bytes`)
    boxes.push({ type, body: buffer.subarray(offset + headerLength, offset + length) })
    offset += length
  }
  return boxes
}

/** Returns the body of the last box of each type in a buffer, by type. */
export const boxesByType = (body: Buffer | undefined): Partial<Record<string, Buffer>> =>
  Object.fromEntries((body ? boxesIn(body) : []).map(({ type, body }) => [type, body]))

function parseHeader(buffer: Buffer): {
  readonly type: string
  readonly headerLength: number
  readonly length: number
} {
  const length = buffer.readUInt32BE(0)
  const type = buffer.toString('latin1', 4, 8)
  return length === 1 // the length follows, in 64 bits
    ? { type, headerLength: 16, length: Number(buffer.readBigUInt64BE(8)) }
    : { type, headerLength: 8, length }
}
