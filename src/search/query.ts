import { LIMITS } from '../config.js'
import { type ClipId, MODALITIES, type Modality, other, type Span, type UnitVector } from '../domain.js'
import { type EmbedTimings, embed, noTimings } from '../embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import { clipNotFound } from '../gallery/clip-not-found.js'
import type { Gallery } from '../gallery/gallery.js'
import { openMedia } from '../media/media.js'

export interface Direction {
  readonly from?: Modality | undefined // what the query is judged by
  readonly to?: Modality | undefined // what is wanted back
}

/** What is asked: a file, a clip of the library (or a range of it), or an embedding. */
export type Query = Direction &
  (
    | { readonly kind: 'file'; readonly path: string; readonly range?: Span | undefined }
    | { readonly kind: 'clip'; readonly id: ClipId; readonly range?: Span | undefined }
    | { readonly kind: 'embedding'; readonly vector: Float32Array; readonly fingerprint?: string | undefined }
  )

/** A query made ready: one vector for each of its windows, and the direction settled. */
export interface Probe {
  readonly from: Modality
  readonly to: Modality
  readonly vectors: readonly UnitVector[]
  readonly seconds: number | null // of what was asked with; null for an embedding
  readonly clip: ClipId | null
  readonly timings: EmbedTimings
}

export interface ProbeParts {
  readonly encoder: Encoder
  readonly gallery: Gallery
  readonly signal?: AbortSignal | undefined
}

type Found = Pick<Probe, 'seconds' | 'clip' | 'timings'> & {
  readonly vectors: Readonly<Record<Modality, readonly UnitVector[]>>
}

/** Turns a query into vectors. A long query has a vector for each segment's length of it. */
export async function probe(query: Query, parts: ProbeParts): Promise<Probe> {
  const { bundle } = parts.encoder
  refuseUnserved(query, bundle)
  if (query.kind === 'embedding') return probeEmbedding(query, bundle)
  const { vectors, ...found } = query.kind === 'file' ? await fromFile(query, parts) : await fromClip(query, parts)
  const { modalities } = bundle.format
  const direction = settleDirection(query, (modality) => vectors[modality].length > 0, modalities)
  return { ...direction, ...found, vectors: vectors[direction.from] }
}

function refuseUnserved({ from, to }: Direction, { name, format: { modalities } }: Bundle): void {
  const unserved = [from, to].find((modality) => modality && !modalities.includes(modality))
  if (!unserved) return
  const detail = `Bundle ${name} takes ${modalities.join(' and ')} content only, so nothing can be asked of ${unserved}.`
  throw new AppError('MODALITY_NOT_SERVED', detail)
}

/**
 * A sound looks for pictures, a picture or silent video for sounds, as far as the bundle takes both; what has both must
 * say what is wanted. QUERY_AMBIGUOUS, QUERY_LACKS_MODALITY.
 */
export function settleDirection(
  { from, to }: Direction,
  has: (modality: Modality) => boolean,
  served: readonly Modality[],
): Pick<Probe, 'from' | 'to'> {
  const present = MODALITIES.filter(has)
  const judgedBy = from ?? (present.length === 1 ? present[0] : to && other(to))
  if (!judgedBy) {
    throw new AppError(
      'QUERY_AMBIGUOUS',
      'The query has sound and picture: say `to`: "audio" for sounds that go with its picture, "visual" for pictures that go with its sound.',
    )
  }
  if (!has(judgedBy)) {
    const lacks = judgedBy === 'audio' ? 'Nothing can be heard in the query' : 'Nothing can be seen in the query'
    throw new AppError('QUERY_LACKS_MODALITY', `${lacks}, so it cannot be searched from ${judgedBy}.`)
  }
  return { from: judgedBy, to: to ?? goesWith(judgedBy, served) }
}

/** What is found by default: the other modality, where there is one. */
const goesWith = (modality: Modality, served: readonly Modality[]): Modality =>
  served.includes(other(modality)) ? other(modality) : modality

function probeEmbedding(
  { from, to, vector, fingerprint }: Extract<Query, { kind: 'embedding' }>,
  bundle: Bundle,
): Probe {
  if (fingerprint && fingerprint !== bundle.fingerprint) {
    throw new AppError(
      'FINGERPRINT_MISMATCH',
      `The embedding has fingerprint ${fingerprint}, the library ${bundle.fingerprint}: encode the query again with bundle ${bundle.name}.`,
    )
  }
  if (vector.length !== bundle.dimension) {
    throw new AppError('EMBEDDING_SIZE', `Expected ${bundle.dimension} numbers, got ${vector.length}.`)
  }
  const { modalities } = bundle.format
  const judgedBy = from ?? (modalities.length === 1 ? modalities[0] : to && other(to))
  if (!judgedBy) throw new AppError('QUERY_AMBIGUOUS', 'An embedding needs `from`: the modality that it was made of.')
  const vectors = [normalised(vector)]
  return {
    from: judgedBy,
    to: to ?? goesWith(judgedBy, modalities),
    vectors,
    seconds: null,
    clip: null,
    timings: noTimings(),
  }
}

async function fromClip({ id, range, from }: Extract<Query, { kind: 'clip' }>, parts: ProbeParts): Promise<Found> {
  const { catalogue } = parts.gallery
  const clip = await catalogue.clip(id)
  if (!clip) throw clipNotFound(id)
  if (range) return { ...(await fromFile({ path: clip.path, range, from }, parts)), clip: id }
  refuseLong(clip.seconds)
  const [audio, visual] = await Promise.all([catalogue.embeddings(id, 'audio'), catalogue.embeddings(id, 'visual')])
  return { vectors: { audio, visual }, seconds: clip.seconds, clip: id, timings: noTimings() }
}

async function fromFile(
  { path, range, from }: { path: string; range?: Span | undefined; from?: Modality | undefined },
  { encoder, signal }: ProbeParts,
): Promise<Found> {
  const timings = noTimings()
  const media = await openMedia(path, encoder.bundle.format, { range, signal, only: from })
  const asked = range ? range.end - range.start : 0
  const vectors: Record<Modality, UnitVector[]> = { audio: [], visual: [] }
  for await (const { end, audio, visual } of embed(media, encoder, { priority: 'query', signal, timings })) {
    if (audio) vectors.audio.push(audio.embedding)
    if (visual) vectors.visual.push(visual.embedding)
    refuseLong(Math.max(asked, end - (range?.start ?? 0)))
  }
  return { vectors, seconds: media.outcome.seconds, clip: null, timings }
}

function refuseLong(seconds: number): void {
  if (seconds <= LIMITS.querySeconds) return
  throw new AppError('MEDIA_TOO_LONG', `A query may last ${LIMITS.querySeconds} s: ask with a range of the file.`)
}

function normalised(vector: Float32Array): UnitVector {
  const length = Math.hypot(...vector)
  if (!(length > 0) || !Number.isFinite(length)) {
    throw new AppError('REQUEST_INVALID', 'Expected an embedding of finite numbers that are not all 0.')
  }
  return vector.map((value) => value / length) as UnitVector
}
