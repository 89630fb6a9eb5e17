import { promisify } from 'node:util'
import { crc32, deflate } from 'node:zlib'
import { uintBE } from '../probe/uint.js'
import type { WebpAnimation, WebpFrame } from '../probe/webp-animation.js'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
const MAX_FRAME_MS = 65_535
const FAST = { level: 1 } as const

/**
 * Encodes the frames of an animated WebP as an APNG, which ffmpeg decodes. Keeps the place, the
 * time, the blending and the clearing of each frame.
 */
export class Apng {
  readonly tail = pngChunk('IEND', Buffer.alloc(0))
  #sequence = 0
  #frames = 0

  constructor(private readonly animation: WebpAnimation) {}

  /**
   * Returns the bytes before the first frame. The first frame of an APNG must cover the canvas: an
   * empty one precedes a smaller one.
   */
  async head(): Promise<Buffer> {
    const { width, height, frames } = this.animation
    const [first] = frames
    const isWhole = first?.width === width && first.height === height
    const rgba = Buffer.of(8, 6, 0, 0, 0) // RGBA of 8 bits
    const header = Buffer.concat([uintBE(width, 4), uintBE(height, 4), rgba])
    const count = frames.length + (isWhole ? 0 : 1)
    const control = Buffer.concat([uintBE(count, 4), uintBE(1, 4)])
    const empty = { x: 0, y: 0, width, height, ms: 1, isBlended: false, isCleared: false }
    const lead = isWhole ? [] : [await this.frame(empty, Buffer.alloc(4 * width * height))]
    return Buffer.concat([SIGNATURE, pngChunk('IHDR', header), pngChunk('acTL', control), ...lead])
  }

  /** Encodes a frame from its pixels (RGBA). */
  async frame(
    { x, y, width, height, ms, isBlended, isCleared }: Omit<WebpFrame, 'offset' | 'bytes'>,
    pixels: Buffer,
  ): Promise<Buffer> {
    const control = Buffer.concat([
      ...[this.#sequence++, width, height, x, y].map((value) => uintBE(value, 4)),
      ...[Math.max(1, Math.min(MAX_FRAME_MS, ms)), 1000].map((value) => uintBE(value, 2)),
      Buffer.of(isCleared ? 1 : 0, isBlended ? 1 : 0),
    ])
    const data = await promisify(deflate)(unfilteredRows(pixels, 4 * width), FAST)
    const isFirst = this.#frames++ === 0
    const image = isFirst
      ? pngChunk('IDAT', data)
      : pngChunk('fdAT', Buffer.concat([uintBE(this.#sequence++, 4), data]))
    return Buffer.concat([pngChunk('fcTL', control), image])
  }
}

/** Returns rows of pixels, each after a byte that says that it has no filter. */
function unfilteredRows(pixels: Buffer, rowBytes: number): Buffer {
  const height = pixels.length / rowBytes
  const rows = Buffer.alloc(pixels.length + height)
  for (let y = 0; y < height; y++)
    pixels.copy(rows, y * (rowBytes + 1) + 1, y * rowBytes, (y + 1) * rowBytes)
  return rows
}

function pngChunk(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data])
  return Buffer.concat([uintBE(data.length, 4), named, uintBE(crc32(named), 4)])
}
