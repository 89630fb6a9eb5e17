import { promisify } from 'node:util'
import { crc32, deflate } from 'node:zlib'
import type { WebpAnimation, WebpFrame } from '../probe/webp-animation.js'

const LONGEST_MS = 65_535
const QUICK = { level: 1 } as const

/** An APNG has the frames of an animated WebP, and ffmpeg can show it: the same places, times and ways of covering. */
export class Apng {
  #sequence = 0
  #frames = 0

  constructor(private readonly animation: WebpAnimation) {}

  /** Everything before the first frame, which must cover the canvas: an empty one comes before a smaller one. */
  async head(): Promise<Buffer> {
    const { width, height, frames } = this.animation
    const [first] = frames
    const isWhole = first?.width === width && first.height === height
    const header = Buffer.concat([uint32(width), uint32(height), Buffer.of(8, 6, 0, 0, 0)]) // RGBA, 8 bits
    const control = Buffer.concat([uint32(frames.length + (isWhole ? 0 : 1)), uint32(1)])
    const empty = { x: 0, y: 0, width, height, ms: 1, isBlended: false, isCleared: false }
    const lead = isWhole ? [] : [await this.frame(empty, Buffer.alloc(4 * width * height))]
    return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('acTL', control), ...lead])
  }

  /** A frame out of its pixels, RGBA. */
  async frame(
    { x, y, width, height, ...how }: Omit<WebpFrame, 'offset' | 'bytes'>,
    pixels: Buffer,
  ): Promise<Buffer> {
    const control = Buffer.concat([
      ...[this.#sequence++, width, height, x, y].map(uint32),
      ...[uint16(Math.max(1, Math.min(LONGEST_MS, how.ms))), uint16(1000)],
      Buffer.of(how.isCleared ? 1 : 0, how.isBlended ? 1 : 0),
    ])
    const data = await promisify(deflate)(rows(pixels, 4 * width), QUICK)
    const isFirst = this.#frames++ === 0
    const picture = isFirst
      ? chunk('IDAT', data)
      : chunk('fdAT', Buffer.concat([uint32(this.#sequence++), data]))
    return Buffer.concat([chunk('fcTL', control), picture])
  }

  readonly tail = chunk('IEND', Buffer.alloc(0))
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** Rows each with its filter in front: none. */
function rows(pixels: Buffer, bytes: number): Buffer {
  const height = pixels.length / bytes
  const filtered = Buffer.alloc(pixels.length + height)
  for (let y = 0; y < height; y++)
    pixels.copy(filtered, y * (bytes + 1) + 1, y * bytes, (y + 1) * bytes)
  return filtered
}

function chunk(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data])
  return Buffer.concat([uint32(data.length), named, uint32(crc32(named))])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
