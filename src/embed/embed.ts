import type { Span } from '../domain/clip.js'
import type { Modality } from '../domain/modality.js'
import type { MediaSegment } from '../domain/segment-format.js'
import type { UnitVector } from '../domain/vector.js'
import type { Priority } from '../encoder/batching.js'
import type { Encoder } from '../encoder/encoder.js'
import type { Encoding } from '../encoder/encoding.js'
import { tooLong } from '../media/decode/too-long.js'
import type { Media } from '../media/media.js'

/** `probabilities`: one per class; null where not asked for, or not given by the bundle. */
export interface Embedded {
  readonly embedding: UnitVector
  readonly probabilities: Float32Array | null
}

/** One segment of a file with what the graphs say of it; null where nothing can be heard or seen. */
export interface EmbeddedSegment extends Span, Readonly<Record<Modality, Embedded | null>> {
  readonly joint: Float32Array | null // probabilities of sound and picture together
}

export interface EmbedOptions {
  readonly priority: Priority
  readonly tags?: boolean
  readonly longestSeconds?: number | undefined // of media; more is MEDIA_TOO_LONG
  readonly signal?: AbortSignal | undefined
  readonly timings?: EmbedTimings // added to as time is spent
}

type SegmentEncoder = Pick<Encoder, 'encodeSegment'>

/** Time spent waiting for ffmpeg and for the encoder; the two run side by side, so each counts what it alone cost. */
export interface EmbedTimings {
  decodeMs: number
  encodeMs: number
}

export const noTimings = (): EmbedTimings => ({ decodeMs: 0, encodeMs: 0 })

/** Segments on their way through the encoder while the next is decoded: enough to fill its batches. */
const SEGMENTS_AHEAD = 4

/** The road that every file takes, in ingestion and in queries: decode, then encode. In order of time. */
export async function* embed(
  media: Pick<Media, 'segments'>,
  encoder: SegmentEncoder,
  options: EmbedOptions,
): AsyncGenerator<EmbeddedSegment> {
  const { timings = noTimings(), longestSeconds = Infinity } = options
  let begin: number | undefined
  const ahead: Promise<EmbeddedSegment>[] = []
  for await (const segment of timed(media.segments(), timings, 'decodeMs')) {
    begin ??= segment.start
    if (segment.end - begin > longestSeconds) throw tooLong(longestSeconds)
    ahead.push(settledLater(embedSegment(segment, encoder, options)))
    if (ahead.length >= SEGMENTS_AHEAD) yield* timed(ahead.splice(0, 1), timings, 'encodeMs')
  }
  yield* timed(ahead, timings, 'encodeMs')
}

/** Passes items on and adds up how long each was waited for. */
async function* timed<T>(
  items: AsyncIterable<T> | Iterable<Promise<T>>,
  timings: EmbedTimings,
  spent: keyof EmbedTimings,
): AsyncGenerator<T> {
  let since = performance.now()
  for await (const item of items) {
    timings[spent] += performance.now() - since
    yield item
    since = performance.now()
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

/** The frames of a segment as one: the mean of their embeddings, of length 1 again. */
function mean(encodings: readonly Encoding[]): Embedded | null {
  if (encodings.length === 0) return null
  const embedding = meanRow(encodings.map(({ embedding }) => embedding))
  const length = Math.hypot(...embedding)
  return {
    embedding: embedding.map((value) => value / length) as UnitVector,
    probabilities: meanProbabilities(encodings.flatMap(({ logits }) => (logits ? [logits] : []))),
  }
}

/** Frames are averaged as probabilities, as the published models are measured: one clear frame outweighs doubtful ones. */
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

/** A failure is met when the segment's turn comes; until then, or if it never comes, it is not an unhandled rejection. */
function settledLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
