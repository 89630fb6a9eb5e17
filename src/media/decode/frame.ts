import type { SegmentFormat } from '../../domain/segment-format.js'
import { blocksOf } from './blocks.js'

/** Candidate frames per cell: the one in the middle, and one on either side. */
export const CANDIDATES = 3
/**
 * The factor of detail that replaces the middle frame: four times as sharp, or not black or flat.
 */
const DETAIL_FACTOR = 16
const FLAT_DEVIATION = 2 // of 255, per channel
const ROW_STEP = 8 // rows between samples of detail
const PIXEL_STEP = 16 // pixels between samples of a quick check

/**
 * Yields RGB frames from raw bytes. Takes arrays from `spare` first, which must be in use nowhere
 * else. Drops an incomplete last frame.
 */
export async function* framesOf(
  chunks: AsyncIterable<Uint8Array>,
  { visual: { width, height } }: SegmentFormat,
  spare: Uint8Array[] = [],
): AsyncGenerator<Uint8Array> {
  const length = width * height * 3
  for await (const frame of blocksOf(chunks, () => spare.pop() ?? new Uint8Array(length)))
    if (frame.length === length) yield frame
}

/**
 * Yields one frame per cell: the middle one, unless another candidate has far more detail. The last
 * cell may be incomplete.
 */
export async function* chosenFrames(
  chunks: AsyncIterable<Buffer>,
  format: SegmentFormat,
): AsyncGenerator<Uint8Array> {
  const { width } = format.visual
  const spare: Uint8Array[] = []
  let cell: Uint8Array[] = []
  for await (const frame of framesOf(chunks, format, spare)) {
    cell.push(frame)
    if (cell.length < CANDIDATES) continue
    const chosen = chooseFrame(cell, width)
    spare.push(...cell.filter((frame) => frame !== chosen))
    cell = []
    yield chosen
  }
  if (cell.length > 0) yield chooseFrame(cell, width)
}

function chooseFrame(cell: readonly Uint8Array[], width: number): Uint8Array {
  const middle = cell[CANDIDATES >> 1] ?? (cell.at(-1) as Uint8Array)
  let chosen = middle
  let max = DETAIL_FACTOR * detail(middle, width)
  for (const frame of cell) {
    const candidate = frame === middle ? 0 : detail(frame, width)
    if (candidate <= max) continue
    chosen = frame
    max = candidate
  }
  return chosen
}

/**
 * Returns the mean square of the Laplacian of green, on some rows. It is small if a frame is black,
 * flat or blurred.
 */
function detail(frame: Uint8Array, width: number): number {
  const row = 3 * width
  const at = (i: number) => frame[i] as number
  let sum = 0
  let pixels = 1
  for (let start = row; start < frame.length - row; start += ROW_STEP * row) {
    for (let i = start + 4; i < start + row - 3; i += 3) {
      sum += (4 * at(i) - at(i - 3) - at(i + 3) - at(i - row) - at(i + row)) ** 2
      pixels++
    }
  }
  return sum / pixels
}

/**
 * Returns whether a frame is one flat colour, except for coding noise. A few pixels rule that out
 * for most frames.
 */
export function isBlank(frame: Uint8Array): boolean {
  const max = (FLAT_DEVIATION ** 2 * frame.length) / 3
  return [PIXEL_STEP, 1].every((step) =>
    [0, 1, 2].every((channel) => squaredDeviation(frame, channel, step) <= max),
  )
}

/**
 * Returns the sum of squared deviations from the mean of a channel, over one in `step` pixels. The
 * sum over some pixels is at most that over all.
 */
function squaredDeviation(frame: Uint8Array, channel: number, step: number): number {
  let sum = 0
  let squares = 0
  let pixels = 0
  for (let i = channel; i < frame.length; i += 3 * step) {
    const value = frame[i] as number
    sum += value
    squares += value * value
    pixels++
  }
  return squares - sum ** 2 / pixels
}
