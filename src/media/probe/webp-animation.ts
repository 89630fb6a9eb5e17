import { type FileHandle, open } from 'node:fs/promises'

const HEAD_BYTES = 30
const CHUNK_BYTES = 8 // its name and its size
const FRAME_BYTES = 16 // of an ANMF chunk, before the picture
const MOST_OVERHEAD_BYTES = 2 ** 16
const ANIMATED = 0x02 // of the flags in VP8X
const IS_OPAQUE = 0x02 // of a frame: it replaces what it covers
const IS_CLEARED = 0x01 // of a frame: what it covered is transparent afterwards

/** One frame: a picture of its own, and where, how and for how long it comes onto the canvas. */
export interface WebpFrame {
  readonly at: number // of its picture's chunks in the file
  readonly bytes: number
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly ms: number
  readonly isBlended: boolean
  readonly isCleared: boolean
}

export interface WebpAnimation {
  readonly width: number
  readonly height: number
  readonly frames: readonly WebpFrame[] // that are there whole
  readonly isCut: boolean
}

/** The layout of an animated WebP; null for any other file. */
export async function readWebpAnimation(path: string): Promise<WebpAnimation | null> {
  await using file = await open(path)
  const head = await read(file, 0, HEAD_BYTES)
  const isExtended = head.length === HEAD_BYTES && head.toString('latin1', 8, 16) === 'WEBPVP8X'
  if (!isExtended || ((head[20] ?? 0) & ANIMATED) === 0) return null
  const [width, height] = [head.readUIntLE(24, 3) + 1, head.readUIntLE(27, 3) + 1]
  const { size } = await file.stat()
  const frames: WebpFrame[] = []
  let at = 12
  while (at + CHUNK_BYTES <= size) {
    const chunk = await read(file, at, CHUNK_BYTES + FRAME_BYTES)
    const bytes = chunk.readUInt32LE(4)
    const end = at + CHUNK_BYTES + bytes
    if (chunk.toString('latin1', 0, 4) === 'ANMF') {
      if (end > size) break
      const frame = toFrame(
        chunk.subarray(CHUNK_BYTES),
        at + CHUNK_BYTES + FRAME_BYTES,
        bytes - FRAME_BYTES,
      )
      if (!frame || !isWithin(frame, { width, height })) break
      frames.push(frame)
    }
    at = end + (bytes % 2)
  }
  return { width, height, frames, isCut: at < size }
}

/** Whether it lies on the canvas, and has no more bytes than such a picture can have. */
function isWithin(
  { x, y, bytes, ...frame }: WebpFrame,
  { width, height }: Omit<WebpAnimation, 'frames' | 'isCut'>,
) {
  const isOnCanvas = x + frame.width <= width && y + frame.height <= height
  return isOnCanvas && bytes <= 4 * frame.width * frame.height + MOST_OVERHEAD_BYTES
}

function toFrame(head: Buffer, at: number, bytes: number): WebpFrame | null {
  if (head.length < FRAME_BYTES || bytes <= 0) return null
  const flags = head[15] ?? 0
  return {
    ...{ at, bytes, x: 2 * head.readUIntLE(0, 3), y: 2 * head.readUIntLE(3, 3) },
    ...{
      width: head.readUIntLE(6, 3) + 1,
      height: head.readUIntLE(9, 3) + 1,
      ms: head.readUIntLE(12, 3),
    },
    ...{ isBlended: (flags & IS_OPAQUE) === 0, isCleared: (flags & IS_CLEARED) !== 0 },
  }
}

/** The frames one after the other, each as a WebP of its own, as ffmpeg takes them. */
export async function* stillWebps(
  path: string,
  frames: readonly WebpFrame[],
): AsyncGenerator<Buffer> {
  await using file = await open(path)
  for (const frame of frames) {
    const picture = await read(file, frame.at, frame.bytes)
    const hasAlpha = picture.toString('latin1', 0, 4) === 'ALPH'
    const chunks = hasAlpha ? [extended(frame), picture] : [picture]
    const body = Buffer.concat([Buffer.from('WEBP'), ...chunks])
    yield Buffer.concat([Buffer.from('RIFF'), uint32(body.length), body])
  }
}

/** The header that says that the picture comes with transparency. */
function extended({ width, height }: WebpFrame): Buffer {
  const chunk = Buffer.alloc(CHUNK_BYTES + 10)
  chunk.write('VP8X')
  chunk.writeUInt32LE(10, 4)
  chunk[8] = 0x10
  chunk.writeUIntLE(width - 1, 12, 3)
  chunk.writeUIntLE(height - 1, 15, 3)
  return chunk
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

async function read(file: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, at)
  return buffer.subarray(0, bytesRead)
}
