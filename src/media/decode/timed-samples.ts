import type { Spacing } from '../probe/media-header.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'

/** The same limit as that of ffmpeg's `aresample`: timestamps that differ by less are rounding or jitter. */
const TOLERANCE_SECONDS = 0.1
const SILENCE = new Float32Array(16 * 1024)
const UNKNOWN = 0 // a timestamp that says nothing

/**
 * Returns filters that resample sound to one channel and add a second, which holds the timestamp of the frame that a
 * sample came in, less `origin`: raw samples have no other. ffmpeg itself (`aresample=async=1`) fills a gap in one block
 * of memory, however long: that is left to it where there are no gaps but lost packets, since it costs less.
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

export interface Placement {
  readonly spacing: Spacing
  readonly rateHz: number
  readonly startsAt: number // seconds of the window where the first sample belongs, unless its timestamp differs
  readonly seconds: number // length of the window; may be infinite
  readonly longest: number // seconds: a timestamp beyond is not believed
  readonly toSeconds: (timestamp: number) => number // of the window
  readonly refuse: (seconds: number) => void // is told of a timestamp that is not believed
}

/** Puts samples where their timestamps say, out of the bytes of `soundFilters`: gaps are zeros, overlaps are cut. */
export async function* placeSamples(
  chunks: AsyncIterable<Buffer>,
  placement: Placement,
): AsyncGenerator<Float32Array, void> {
  const end = Math.round(placement.seconds * placement.rateHz)
  const positions = new Positions(placement)
  let written = 0
  const isTimed = placement.spacing === 'any'
  for await (const values of valuesOf(chunks, isTimed ? 2 : 1)) {
    for (const { samples, at } of isTimed
      ? runsOf(values, positions)
      : [positions.follow(values)]) {
      const start = Math.min(at, end)
      for (; written < start; written += Math.min(SILENCE.length, start - written)) {
        yield SILENCE.subarray(0, start - written)
      }
      const rest = samples.subarray(written - at, Math.max(written, end) - at)
      if (rest.length > 0) yield rest
      written += rest.length
      if (written >= end) return
    }
  }
}

interface Run {
  readonly samples: Float32Array
  readonly at: number // position of the first
}

/** Samples that follow one another without a gap. */
function* runsOf(pairs: Float32Array, positions: Positions): Generator<Run> {
  const samples = new Float32Array(pairs.length / 2)
  let first = 0
  let start = positions.next
  for (let i = 0; i < samples.length; i++) {
    const timestamp = pairs[2 * i + 1] as number
    if (timestamp !== positions.timestamp) {
      const expected = start + i - first
      const at = positions.moveTo(timestamp, expected)
      if (at !== expected) {
        if (i > first) yield { samples: samples.subarray(first, i), at: start }
        first = i
        start = at
      }
    }
    samples[i] = pairs[2 * i] as number
  }
  positions.next = start + samples.length - first
  if (samples.length > first) yield { samples: samples.subarray(first), at: start }
}

/** Tells positions by timestamps, in samples from the start of the window; they may be negative. */
class Positions {
  next: number // position of the sample to come, unless its timestamp differs
  timestamp = UNKNOWN // of the frame that is being read, which may come in several parts
  #correction = 0 // samples, for timestamps that are not believed

  constructor(private readonly placement: Placement) {
    this.next = Math.round(placement.startsAt * placement.rateHz)
  }

  follow(samples: Float32Array): Run {
    const at = this.next
    this.next += samples.length
    return { samples, at }
  }

  moveTo(timestamp: number, expected: number): number {
    this.timestamp = timestamp
    if (timestamp === UNKNOWN) return expected
    const { rateHz, longest, toSeconds, refuse } = this.placement
    const seconds = toSeconds(timestamp)
    const stated = Math.round(seconds * rateHz)
    if (Math.abs(stated + this.#correction - expected) <= TOLERANCE_SECONDS * rateHz)
      return expected
    if (stated + this.#correction > longest * rateHz) {
      this.#correction = expected - stated
      refuse(seconds)
    }
    return stated + this.#correction
  }
}

/** The values of so many channels at a time, however the bytes are cut. */
async function* valuesOf(
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
