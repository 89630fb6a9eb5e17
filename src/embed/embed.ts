import type { Span } from '../domain/clip.js'
import type { Modality } from '../domain/modality.js'
import type { MediaSegment } from '../domain/segment-format.js'
import type { UnitVector } from '../domain/vector.js'
import type { Priority } from '../encoder/batching.js'
import type { Encoder } from '../encoder/encoder.js'
import type { Encoding } from '../encoder/encoding.js'
import { tooLong } from '../media/decode/too-long.js'
import type { Media } from '../media/media.js'

/**
 * The encoding of one modality of a segment. `probabilities` has one value per class, and is null
 * if not requested or not supported by the bundle.
 */
export interface Embedded {
  readonly embedding: UnitVector
  readonly probabilities: Float32Array | null
}

/** A segment of a file with its encodings. A modality that the segment lacks is null. */
export interface EmbeddedSegment extends Span, Readonly<Record<Modality, Embedded | null>> {
  readonly joint: Float32Array | null // probabilities of the joint graph, one per class
}

/** Options of `embed`. */
export interface EmbedOptions {
  readonly priority: Priority
  readonly tags?: boolean
  readonly longestSeconds?: number | undefined // of media; longer media throw MEDIA_TOO_LONG
  readonly signal?: AbortSignal | undefined
  readonly timings?: EmbedTimings // `embed` adds to them
}

type SegmentEncoder = Pick<Encoder, 'encodeSegment'>

/**
 * Times in ms for which `embed` waits for ffmpeg and for the encoder. Both run in parallel, so time
 * that overlaps counts once.
 */
export interface EmbedTimings {
  decodeMs: number
  encodeMs: number
}

/** Returns timings of 0 ms. */
export const noTimings = (): EmbedTimings => ({ decodeMs: 0, encodeMs: 0 })

/** Segments in the encoder while the next is decoded: enough to fill its batches. */
const SEGMENTS_AHEAD = 4

/**
 * Decodes and encodes media, for ingestion and for queries. Yields segments in order of time.
 * Throws MEDIA_TOO_LONG.
 */
export async function* embed(
  media: Pick<Media, 'segments'>,
  encoder: SegmentEncoder,
  options: EmbedOptions,
): AsyncGenerator<EmbeddedSegment> {
  const { timings = noTimings(), longestSeconds = Infinity } = options
  let firstStart: number | undefined
  const ahead: Promise<EmbeddedSegment>[] = []
  for await (const segment of timed(media.segments(), timings, 'decodeMs')) {
    firstStart ??= segment.start
    if (segment.end - firstStart > longestSeconds) throw tooLong(longestSeconds)
    ahead.push(handledLater(embedSegment(segment, encoder, options)))
    if (ahead.length >= SEGMENTS_AHEAD) yield* timed(ahead.splice(0, 1), timings, 'encodeMs')
  }
  yield* timed(ahead, timings, 'encodeMs')
}

/** Yields the items and adds the wait for each, in ms, to the timings. */
async function* timed<T>(
  items: AsyncIterable<T> | Iterable<Promise<T>>,
  timings: EmbedTimings,
  stage: keyof EmbedTimings,
): AsyncGenerator<T> {
  let sinceMs = performance.now()
  for await (const item of items) {
    timings[stage] += performance.now() - sinceMs
    yield item
    sinceMs = performance.now()
  }
}

async function embedSegment(
  segment: MediaSegment,
  encoder: SegmentEncoder,
  options: EmbedOptions,
): Promise<EmbeddedSegment> {
  const { start, end } = segment
  const { audio, frames, joint } = await encoder.encodeSegment(segment, options)
  return {
    start,
    end,
    audio: audio && mean([audio]),
    visual: mean(frames),
    joint: meanProbabilities(joint),
  }
}

/**
 * Returns the mean of encodings, with the embedding normalized to length 1, or null if there are
 * none.
 */
function mean(encodings: readonly Encoding[]): Embedded | null {
  if (encodings.length === 0) return null
  const embedding = meanRow(encodings.map(({ embedding }) => embedding))
  const length = Math.hypot(...embedding)
  return {
    embedding: embedding.map((value) => value / length) as UnitVector,
    probabilities: meanProbabilities(encodings.flatMap(({ logits }) => (logits ? [logits] : []))),
  }
}

/**
 * Averages frames as probabilities, as the evaluation of the published models does: a clear frame
 * outweighs unclear frames.
 */
function meanProbabilities(logits: readonly Float32Array[]): Float32Array | null {
  return logits.length > 0 ? meanRow(logits.map((row) => row.map(sigmoid))) : null
}

const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit))

function meanRow(rows: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(rows[0]?.length ?? 0)
  for (const row of rows)
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (row[i] as number)
  return sum.map((value) => value / rows.length)
}

/** Marks a rejection as handled. The consumer receives it when it awaits the promise, if ever. */
function handledLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
