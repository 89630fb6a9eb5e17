import type { Spacing } from '../probe/media-header.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'

/**
 * The tolerance of ffmpeg's `aresample`: a smaller difference of timestamps is rounding or jitter.
 */
const TOLERANCE_SECONDS = 0.1
const SILENCE = new Float32Array(16 * 1024)
const NO_TIMESTAMP = 0

/**
 * Returns filters that resample audio to one channel. For spacing `any`, a second channel holds the
 * timestamp of the sample's frame, less `origin`: raw samples have none. ffmpeg itself
 * (`aresample=async=1`) fills a gap in one block of memory of any length. It costs less, so it does
 * so for spacing `even`, where gaps are lost packets only.
 */
export function audioFilters(rateHz: number, spacing: Spacing, origin: number): string {
  const resample = `aresample=${rateHz}:rematrix_maxval=1`
  const mono = 'aformat=sample_fmts=flt:channel_layouts=mono'
  if (spacing === 'untimed') return `${resample},${mono}`
  if (spacing === 'even') return `${resample}:async=1,${mono}`
  return (
    `${resample},${mono},asplit[samples][copy];` +
    `[copy]volume=0,dcshift=1,volume='t-${ffmpegSeconds(origin)}':eval=frame[times];` +
    '[samples][times]join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR'
  )
}

/** How samples are placed in a window. */
interface Placement {
  readonly spacing: Spacing
  readonly rateHz: number
  readonly startsAt: number // seconds of the window of a first sample without a timestamp
  readonly seconds: number // length of the window; may be infinite
  readonly maxSeconds: number // a later timestamp is rejected
  readonly toSeconds: (timestamp: number) => number // of the window
  readonly onRejected: (seconds: number) => void // called with a rejected timestamp
}

/**
 * Yields the samples of a window by their timestamps, from the output of `audioFilters`. Fills gaps
 * with zeros and drops overlaps.
 */
export async function* placeSamples(
  chunks: AsyncIterable<Buffer>,
  placement: Placement,
): AsyncGenerator<Float32Array, void> {
  const end = Math.round(placement.seconds * placement.rateHz)
  const positions = new Positions(placement)
  let written = 0
  const isTimed = placement.spacing === 'any'
  for await (const values of floatsOf(chunks, isTimed ? 2 : 1)) {
    const runs = isTimed ? runsOf(values, positions) : [positions.append(values)]
    for (const { samples, position } of runs) {
      const start = Math.min(position, end)
      for (; written < start; written += Math.min(SILENCE.length, start - written)) {
        yield SILENCE.subarray(0, start - written)
      }
      const rest = samples.subarray(written - position, Math.max(written, end) - position)
      if (rest.length > 0) yield rest
      written += rest.length
      if (written >= end) return
    }
  }
}

/** Contiguous samples. */
interface Run {
  readonly samples: Float32Array
  readonly position: number // of the first sample
}

/** Splits pairs of sample and timestamp into runs. */
function* runsOf(pairs: Float32Array, positions: Positions): Generator<Run> {
  const samples = new Float32Array(pairs.length / 2)
  let first = 0
  let start = positions.next
  for (let i = 0; i < samples.length; i++) {
    const timestamp = pairs[2 * i + 1] as number
    if (timestamp !== positions.timestamp) {
      const expected = start + i - first
      const position = positions.moveTo(timestamp, expected)
      if (position !== expected) {
        if (i > first) yield { samples: samples.subarray(first, i), position: start }
        first = i
        start = position
      }
    }
    samples[i] = pairs[2 * i] as number
  }
  positions.next = start + samples.length - first
  if (samples.length > first) yield { samples: samples.subarray(first), position: start }
}

/**
 * Maps timestamps to positions, in samples from the start of the window. Positions may be negative.
 */
class Positions {
  next: number // position of the next sample, unless its timestamp differs
  timestamp = NO_TIMESTAMP // of the current frame, which may arrive in several chunks
  #correction = 0 // samples to add after a rejected timestamp

  constructor(private readonly placement: Placement) {
    this.next = Math.round(placement.startsAt * placement.rateHz)
  }

  append(samples: Float32Array): Run {
    const position = this.next
    this.next += samples.length
    return { samples, position }
  }

  /**
   * Returns the position of a sample by its timestamp, or `expected` if the difference is jitter.
   */
  moveTo(timestamp: number, expected: number): number {
    this.timestamp = timestamp
    if (timestamp === NO_TIMESTAMP) return expected
    const { rateHz, maxSeconds, toSeconds, onRejected } = this.placement
    const seconds = toSeconds(timestamp)
    const stated = Math.round(seconds * rateHz)
    if (Math.abs(stated + this.#correction - expected) <= TOLERANCE_SECONDS * rateHz)
      return expected
    if (stated + this.#correction > maxSeconds * rateHz) {
      this.#correction = expected - stated
      onRejected(seconds)
    }
    return stated + this.#correction
  }
}

/** Yields floats from bytes, in multiples of `channels` values. */
async function* floatsOf(
  chunks: AsyncIterable<Buffer>,
  channels: number,
): AsyncGenerator<Float32Array> {
  const group = channels * Float32Array.BYTES_PER_ELEMENT
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const whole = bytes.length - (bytes.length % group)
    rest = bytes.subarray(whole)
    if (whole > 0) yield new Float32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer)
  }
}
