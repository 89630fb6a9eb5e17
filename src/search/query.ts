import type { Span } from '../domain/clip.js'
import type { ClipId } from '../domain/ids.js'
import { MODALITIES, type Modality, otherModality } from '../domain/modality.js'
import type { UnitVector } from '../domain/vector.js'
import { type EmbedTimings, embed, noTimings } from '../embed/embed.js'
import { type Bundle, hasFingerprint } from '../encoder/bundle.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import { clipNotFound } from '../gallery/catalogue/clip-id.js'
import type { Gallery } from '../gallery/gallery.js'
import { tooLong } from '../media/decode/too-long.js'
import { openMedia } from '../media/media.js'
import type { DecoderPool } from '../media/process/decoder-pool.js'
import { OpenedFile } from '../storage/opened-file.js'
import { SEARCH_LIMITS } from './limits.js'

/** The modality that a query is compared by, and the modality that it searches. */
export interface Direction {
  readonly from?: Modality | undefined // modality of the query
  readonly to?: Modality | undefined // modality of the results
}

/** A query: a file, a clip of the library (or a range of either, in seconds), or an embedding. */
export type Query = Direction &
  (
    | { readonly kind: 'file'; readonly file: OpenedFile; readonly range?: Span | undefined }
    | { readonly kind: 'clip'; readonly id: ClipId; readonly range?: Span | undefined }
    | {
        readonly kind: 'embedding'
        readonly vector: Float32Array
        readonly fingerprint?: string | undefined
      }
  )

/** A query as vectors, one per segment, with both modalities of its direction. */
export interface ResolvedQuery {
  readonly from: Modality
  readonly to: Modality
  readonly vectors: readonly UnitVector[]
  readonly seconds: number | null // length of the query; null for an embedding
  readonly clip: ClipId | null
  readonly timings: EmbedTimings
}

/** What a search needs. */
export interface SearchDeps {
  readonly encoder: Encoder
  readonly gallery: Gallery
  readonly decoders: DecoderPool
  /** Real paths of the folders that must contain the file of a clip, if the query has a range. */
  readonly within?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

type QueryVectors = Pick<ResolvedQuery, 'seconds' | 'clip' | 'timings'> & {
  readonly vectors: Readonly<Record<Modality, readonly UnitVector[]>>
}

/**
 * Resolves a query to vectors, one per segment, and a direction. Throws MODALITY_NOT_SERVED and the
 * errors of `resolveDirection`.
 */
export async function resolveQuery(query: Query, deps: SearchDeps): Promise<ResolvedQuery> {
  const { bundle } = deps.encoder
  refuseUnserved(query, bundle)
  if (query.kind === 'embedding') return resolveEmbedding(query, bundle)
  const { vectors, ...resolved } =
    query.kind === 'file' ? await fromFile(query, deps) : await fromClip(query, deps)
  const { modalities } = bundle.format
  const direction = resolveDirection(query, (modality) => vectors[modality].length > 0, modalities)
  return { ...direction, ...resolved, vectors: vectors[direction.from] }
}

function refuseUnserved({ from, to }: Direction, { name, format: { modalities } }: Bundle): void {
  const unserved = [from, to].find((modality) => modality && !modalities.includes(modality))
  if (!unserved) return
  const served = modalities.join(' and ')
  const detail = `Bundle ${name} supports ${served} only: a query cannot use ${unserved}.`
  throw new AppError('MODALITY_NOT_SERVED', detail)
}

/**
 * Returns the direction of a query. Audio searches visual content and visual content searches
 * audio, if the bundle supports both. Throws QUERY_AMBIGUOUS if the query has both and gives no
 * direction. Throws QUERY_LACKS_MODALITY if the query lacks `from`.
 */
export function resolveDirection(
  { from, to }: Direction,
  has: (modality: Modality) => boolean,
  served: readonly Modality[],
): Pick<ResolvedQuery, 'from' | 'to'> {
  const present = MODALITIES.filter(has)
  const source = from ?? (present.length === 1 ? present[0] : to && otherModality(to))
  if (!source) {
    const detail =
      'The query has sound and picture: set `to` to "audio" to find sounds that match its ' +
      'picture, or to "visual" to find pictures that match its sound.'
    throw new AppError('QUERY_AMBIGUOUS', detail)
  }
  if (!has(source)) {
    const lacks = source === 'audio' ? 'no audible sound' : 'no visible picture'
    throw new AppError(
      'QUERY_LACKS_MODALITY',
      `The query has ${lacks}: it cannot be searched from ${source}.`,
    )
  }
  return { from: source, to: to ?? defaultTarget(source, served) }
}

/** Returns the other modality if the bundle supports it, else the same one. */
const defaultTarget = (modality: Modality, served: readonly Modality[]): Modality =>
  served.includes(otherModality(modality)) ? otherModality(modality) : modality

function resolveEmbedding(
  { from, to, vector, fingerprint }: Extract<Query, { kind: 'embedding' }>,
  bundle: Bundle,
): ResolvedQuery {
  if (fingerprint && !hasFingerprint(bundle, fingerprint)) {
    const detail =
      `The embedding has fingerprint ${fingerprint}, the library has ${bundle.fingerprint}: ` +
      `encode the query again with bundle ${bundle.name}.`
    throw new AppError('FINGERPRINT_MISMATCH', detail)
  }
  if (vector.length !== bundle.dimension) {
    throw new AppError(
      'EMBEDDING_SIZE',
      `Expected ${bundle.dimension} numbers, got ${vector.length}.`,
    )
  }
  const { modalities } = bundle.format
  const source = from ?? (modalities.length === 1 ? modalities[0] : to && otherModality(to))
  if (!source)
    throw new AppError(
      'QUERY_AMBIGUOUS',
      'An embedding needs `from`: the modality that it encodes.',
    )
  const vectors = [normalized(vector)]
  return {
    from: source,
    to: to ?? defaultTarget(source, modalities),
    vectors,
    seconds: null,
    clip: null,
    timings: noTimings(),
  }
}

async function fromClip(
  { id, range, from }: Extract<Query, { kind: 'clip' }>,
  deps: SearchDeps,
): Promise<QueryVectors> {
  const { catalogue } = deps.gallery
  const clip = await catalogue.clip(id)
  if (!clip) throw clipNotFound(id)
  if (range) {
    if (range.start >= clip.seconds) throw rangeOutside(clip.seconds)
    await using file = await OpenedFile.open(clip.path, { within: deps.within })
    return { ...(await fromFile({ file, range, from }, deps)), clip: id }
  }
  if (clip.seconds > SEARCH_LIMITS.querySeconds) throw tooLong(SEARCH_LIMITS.querySeconds)
  const [audio, visual] = await Promise.all([
    catalogue.embeddings(id, 'audio'),
    catalogue.embeddings(id, 'visual'),
  ])
  return { vectors: { audio, visual }, seconds: clip.seconds, clip: id, timings: noTimings() }
}

async function fromFile(
  {
    file,
    range,
    from,
  }: { file: OpenedFile; range?: Span | undefined; from?: Modality | undefined },
  { encoder, decoders, signal }: SearchDeps,
): Promise<QueryVectors> {
  const timings = noTimings()
  const longestSeconds = SEARCH_LIMITS.querySeconds
  if (range && range.end - range.start > longestSeconds) throw tooLong(longestSeconds)
  using slot = await decoders.enter('query', signal)
  const decoding = { range, only: from, longestSeconds, slot, signal }
  const media = await openMedia(file, encoder.bundle.format, decoding)
  const { statedSeconds } = media
  if (range && statedSeconds !== null && range.start >= statedSeconds)
    throw rangeOutside(statedSeconds)
  const vectors: Record<Modality, UnitVector[]> = { audio: [], visual: [] }
  const options = { priority: 'query', longestSeconds, signal, timings } as const
  for await (const { audio, visual } of embed(media, encoder, options)) {
    if (audio) vectors.audio.push(audio.embedding)
    if (visual) vectors.visual.push(visual.embedding)
  }
  return { vectors, seconds: media.outcome.seconds, clip: null, timings }
}

function rangeOutside(seconds: number): AppError {
  const detail = `The range starts after the end of the query, which is ${seconds} s long.`
  return new AppError('RANGE_EMPTY', detail)
}

function normalized(vector: Float32Array): UnitVector {
  const length = Math.hypot(...vector)
  if (!(length > 0) || !Number.isFinite(length)) {
    throw new AppError(
      'REQUEST_INVALID',
      'Expected an embedding of finite numbers that are not all 0.',
    )
  }
  return vector.map((value) => value / length) as UnitVector
}
