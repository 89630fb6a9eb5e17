const BYTES = Float32Array.BYTES_PER_ELEMENT
/** The same limit as that of ffmpeg's `aresample`: timestamps that differ by less are rounding or jitter. */
const TOLERANCE_SECONDS = 0.1
const SILENCE = new Float32Array(16 * 1024)
const UNKNOWN = 0 // a timestamp that says nothing

/**
 * Returns filters that add to mono sound a second channel, which holds the timestamp of the frame that a sample came
 * in, less `origin`: raw samples have no other. `aresample=async=1` fills a gap in one block of memory, however long.
 */
export function timestampFilters({ hasTimestamps, origin }: TimestampOptions): string {
  const volume = hasTimestamps ? `t-${origin.toFixed(6)}` : UNKNOWN
  return (
    'aformat=sample_fmts=flt:channel_layouts=mono,asplit[samples][copy];' +
    `[copy]volume=0,dcshift=1,volume='${volume}':eval=frame[times];` +
    '[samples][times]join=inputs=2:channel_layout=stereo:map=0.0-FL|1.0-FR'
  )
}

export interface TimestampOptions {
  readonly hasTimestamps: boolean
  readonly origin: number // seconds
}

export interface Placement {
  readonly rateHz: number
  readonly startsAt: number // seconds of the window where the first sample belongs, unless its timestamp differs
  readonly seconds: number // length of the window; may be infinite
  readonly longest: number // seconds: a timestamp beyond is not believed
  readonly toSeconds: (timestamp: number) => number // of the window
  readonly refuse: (seconds: number) => void // is told of a timestamp that is not believed
}

/** Puts samples where their timestamps say, out of the bytes of `timestampFilters`: gaps are zeros, overlaps are cut. */
export async function* placeSamples(
  chunks: AsyncIterable<Buffer>,
  placement: Placement,
): AsyncGenerator<Float32Array, void> {
  const end = Math.round(placement.seconds * placement.rateHz)
  const positions = new Positions(placement)
  let written = 0
  for await (const pairs of pairsOf(chunks)) {
    for (const { samples, timestamp } of runsOf(pairs)) {
      const at = positions.take(samples.length, timestamp)
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

/** Tells the position of each run of samples, in samples from the start of the window; it may be negative. */
class Positions {
  #next: number
  #timestamp = UNKNOWN
  #correction = 0 // samples, for timestamps that are not believed

  constructor(private readonly placement: Placement) {
    this.#next = Math.round(placement.startsAt * placement.rateHz)
  }

  take(length: number, timestamp: number): number {
    // A frame may come in several runs.
    if (timestamp !== UNKNOWN && timestamp !== this.#timestamp) this.#moveTo(this.placement.toSeconds(timestamp))
    this.#timestamp = timestamp
    const at = this.#next
    this.#next += length
    return at
  }

  #moveTo(seconds: number): void {
    const { rateHz, longest, refuse } = this.placement
    const stated = Math.round(seconds * rateHz)
    if (Math.abs(stated + this.#correction - this.#next) <= TOLERANCE_SECONDS * rateHz) return
    if (stated + this.#correction > longest * rateHz) {
      this.#correction = this.#next - stated
      refuse(seconds)
    }
    this.#next = stated + this.#correction
  }
}

interface Run {
  readonly samples: Float32Array
  readonly timestamp: number
}

/** Runs of samples with the same timestamp. */
function* runsOf(pairs: Float32Array): Generator<Run> {
  for (let from = 0; from < pairs.length; ) {
    const timestamp = pairs[from + 1] as number
    let to = from + 2
    while (to < pairs.length && pairs[to + 1] === timestamp) to += 2
    const samples = new Float32Array((to - from) / 2)
    for (let i = 0; i < samples.length; i++) samples[i] = pairs[from + 2 * i] as number
    yield { samples, timestamp }
    from = to
  }
}

/** Whole pairs of a sample and a timestamp, however the bytes are cut. */
async function* pairsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Float32Array> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of chunks) {
    const bytes = rest.length + chunk.length
    const pairs = new Float32Array(2 * Math.floor(bytes / (2 * BYTES)))
    const view = new Uint8Array(pairs.buffer)
    const taken = view.length - rest.length
    if (taken < 0) {
      rest = Buffer.concat([rest, chunk])
      continue
    }
    view.set(rest)
    view.set(chunk.subarray(0, taken), rest.length)
    rest = new Uint8Array(chunk.subarray(taken))
    yield pairs
  }
}
