import type { SegmentFormat } from '../../domain/segment-format.js'

/** Frames looked at in each cell: the one in its middle, and one on either side. */
export const CANDIDATES = 3
const FAR_MORE = 16 // times the detail: four times as sharp, or something where the middle is black or flat
const FLAT_DEVIATION = 2 // of 255, per channel
const ROWS_APART = 8 // at which detail is looked for
const PIXELS_APART = 16

/** RGB frames out of raw bytes; `spare` ones, which nobody holds any more, are filled again. */
export async function* frames(
  chunks: AsyncIterable<Buffer>,
  { visual: { width, height } }: SegmentFormat,
  spare: Uint8Array[] = [],
): AsyncGenerator<Uint8Array> {
  const length = width * height * 3
  let frame: Uint8Array = new Uint8Array(length)
  let filled = 0
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(frame, filled, from)
      from += copied
      filled += copied
      if (filled < length) continue
      yield frame
      frame = spare.pop() ?? new Uint8Array(length)
      filled = 0
    }
  }
}

/** The frame of each cell: that of its middle, unless one beside it shows far more. The last cell may be cut. */
export async function* chosenFrames(
  chunks: AsyncIterable<Buffer>,
  format: SegmentFormat,
): AsyncGenerator<Uint8Array> {
  const { width } = format.visual
  const spare: Uint8Array[] = []
  let cell: Uint8Array[] = []
  for await (const frame of frames(chunks, format, spare)) {
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
  let most = FAR_MORE * detail(middle, width)
  for (const frame of cell) {
    const found = frame === middle ? 0 : detail(frame, width)
    if (found <= most) continue
    chosen = frame
    most = found
  }
  return chosen
}

/** Mean square of the Laplacian of green, on some of the rows: little where a frame is black, flat or blurred. */
function detail(frame: Uint8Array, width: number): number {
  const row = 3 * width
  const at = (i: number) => frame[i] as number
  let sum = 0
  let pixels = 1
  for (let start = row; start < frame.length - row; start += ROWS_APART * row) {
    for (let i = start + 4; i < start + row - 3; i += 3) {
      sum += (4 * at(i) - at(i - 3) - at(i + 3) - at(i - row) - at(i + row)) ** 2
      pixels++
    }
  }
  return sum / pixels
}

/** One flat colour, but for what coding adds. Most frames are told by few of their pixels that they are none. */
export function isBlank(frame: Uint8Array): boolean {
  const most = (FLAT_DEVIATION ** 2 * frame.length) / 3
  return [PIXELS_APART, 1].every((step) =>
    [0, 1, 2].every((channel) => spread(frame, channel, step) <= most),
  )
}

/** The squared distances of a channel's pixels, one in `step`, from their mean, summed up: of some no more than of all. */
function spread(frame: Uint8Array, channel: number, step: number): number {
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
