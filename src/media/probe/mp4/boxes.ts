import type { OpenedFile } from '../../../storage/opened-file.js'

export interface Box {
  readonly type: string
  readonly body: Buffer
}

const LARGEST_MOVIE_BYTES = 2 ** 20 // an hour and more; where it is larger, a process more does not matter
const MOST_BOXES = 64 // beside each other in the file
/** What may stand beside the movie. Not among them: fragments, whose length stands nowhere. */
const BESIDE = ['ftyp', 'mdat', 'free', 'skip', 'wide']

/** The body of the one `moov` of a file; null where the file has another shape. */
export async function readMovie(file: OpenedFile): Promise<Buffer | null> {
  const size = file.bytes
  let movie: Buffer | null = null
  let at = 0
  for (let count = 0; at < size; count++) {
    const { type, head, length } = boxAt(await file.read(16, at))
    if (count === MOST_BOXES || length < head || at + length > size) return null
    if (count === 0 && type !== 'ftyp') return null
    if (type === 'moov') {
      if (movie || length > LARGEST_MOVIE_BYTES) return null
      movie = await file.read(length - head, at + head)
    } else if (!BESIDE.includes(type)) return null
    at += length
  }
  return movie
}

/** The boxes that fill a buffer. RangeError where they do not fit. */
export function boxesIn(buffer: Buffer, from = 0): Box[] {
  const boxes: Box[] = []
  for (let at = from; at < buffer.length; ) {
    const { type, head, length } = boxAt(buffer.subarray(at))
    if (length < head || at + length > buffer.length)
      throw new RangeError(`Box ${type} does not fit`)
    boxes.push({ type, body: buffer.subarray(at + head, at + length) })
    at += length
  }
  return boxes
}

function boxAt(buffer: Buffer): {
  readonly type: string
  readonly head: number
  readonly length: number
} {
  const short = buffer.readUInt32BE(0)
  const type = buffer.toString('latin1', 4, 8)
  return short === 1
    ? { type, head: 16, length: Number(buffer.readBigUInt64BE(8)) }
    : { type, head: 8, length: short }
}
