import { type FileHandle, open } from 'node:fs/promises'
import { uintLE } from './uint.js'

const HEAD_BYTES = 30
const CHUNK_HEADER_BYTES = 8 // name and size
const FRAME_HEADER_BYTES = 16 // of an ANMF chunk, before the image
const MAX_OVERHEAD_BYTES = 2 ** 16
const ANIMATED = 0x02 // flag of VP8X
const NOT_BLENDED = 0x02 // flag of a frame: it replaces the canvas under it
const CLEARED = 0x01 // flag of a frame: its area becomes transparent after it

/** One frame of an animated WebP: an image, and its place and time on the canvas. */
export interface WebpFrame {
  readonly offset: number // of the image's chunks in the file
  readonly bytes: number // of the image's chunks
  readonly x: number // pixels
  readonly y: number
  readonly width: number
  readonly height: number
  readonly ms: number
  readonly isBlended: boolean // over the canvas, by its alpha
  readonly isCleared: boolean // becomes transparent after its time
}

/** The layout of an animated WebP (RFC 9649). */
export interface WebpAnimation {
  readonly width: number
  readonly height: number
  readonly frames: readonly WebpFrame[] // the complete ones
  readonly isTruncated: boolean // a frame is incomplete or invalid
}

/** Reads the layout of an animated WebP. Returns null for any other file. */
export async function readWebpAnimation(path: string): Promise<WebpAnimation | null> {
  await using file = await open(path)
  const head = await read(file, 0, HEAD_BYTES)
  const isExtended = head.length === HEAD_BYTES && head.toString('latin1', 8, 16) === 'WEBPVP8X'
  if (!isExtended || ((head[20] ?? 0) & ANIMATED) === 0) return null
  const [width, height] = [head.readUIntLE(24, 3) + 1, head.readUIntLE(27, 3) + 1]
  const { size } = await file.stat()
  const frames: WebpFrame[] = []
  let offset = 12
  while (offset + CHUNK_HEADER_BYTES <= size) {
    const chunk = await read(file, offset, CHUNK_HEADER_BYTES + FRAME_HEADER_BYTES)
    const bytes = chunk.readUInt32LE(4)
    const end = offset + CHUNK_HEADER_BYTES + bytes
    if (chunk.toString('latin1', 0, 4) === 'ANMF') {
      if (end > size) break
      const frame = toFrame(
        chunk.subarray(CHUNK_HEADER_BYTES),
        offset + CHUNK_HEADER_BYTES + FRAME_HEADER_BYTES,
        bytes - FRAME_HEADER_BYTES,
      )
      if (!frame || !isWithin(frame, { width, height })) break
      frames.push(frame)
    }
    offset = end + (bytes % 2)
  }
  return { width, height, frames, isTruncated: offset < size }
}

/** Returns whether a frame is on the canvas, and is no longer in bytes than its pixels can be. */
function isWithin(
  { x, y, bytes, ...frame }: WebpFrame,
  { width, height }: Omit<WebpAnimation, 'frames' | 'isTruncated'>,
) {
  const isOnCanvas = x + frame.width <= width && y + frame.height <= height
  return isOnCanvas && bytes <= 4 * frame.width * frame.height + MAX_OVERHEAD_BYTES
}

function toFrame(head: Buffer, offset: number, bytes: number): WebpFrame | null {
  if (head.length < FRAME_HEADER_BYTES || bytes <= 0) return null
  const flags = head[15] ?? 0
  return {
    ...{ offset, bytes, x: 2 * head.readUIntLE(0, 3), y: 2 * head.readUIntLE(3, 3) },
    ...{
      width: head.readUIntLE(6, 3) + 1,
      height: head.readUIntLE(9, 3) + 1,
      ms: head.readUIntLE(12, 3),
    },
    ...{ isBlended: (flags & NOT_BLENDED) === 0, isCleared: (flags & CLEARED) !== 0 },
  }
}

/** Yields each frame as a separate still WebP, which ffmpeg can decode. */
export async function* stillWebps(
  path: string,
  frames: readonly WebpFrame[],
): AsyncGenerator<Buffer> {
  await using file = await open(path)
  for (const frame of frames) {
    const image = await read(file, frame.offset, frame.bytes)
    const hasAlpha = image.toString('latin1', 0, 4) === 'ALPH'
    const chunks = hasAlpha ? [alphaHeader(frame), image] : [image]
    const body = Buffer.concat([Buffer.from('WEBP'), ...chunks])
    yield Buffer.concat([Buffer.from('RIFF'), uintLE(body.length, 4), body])
  }
}

/** Returns the VP8X chunk of an image with alpha. */
function alphaHeader({ width, height }: WebpFrame): Buffer {
  const chunk = Buffer.alloc(CHUNK_HEADER_BYTES + 10)
  chunk.write('VP8X')
  chunk.writeUInt32LE(10, 4)
  chunk[8] = 0x10
  chunk.writeUIntLE(width - 1, 12, 3)
  chunk.writeUIntLE(height - 1, 15, 3)
  return chunk
}

async function read(file: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, offset)
  return buffer.subarray(0, bytesRead)
}
