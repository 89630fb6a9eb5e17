import type { Clip, Span } from '../domain/clip.js'
import type { ClipId, SegmentId } from '../domain/ids.js'
import type { Modality } from '../domain/modality.js'
import type { SegmentOfClip } from '../gallery/catalogue/catalogue.js'
import type { Gallery } from '../gallery/gallery.js'
import { SEARCH_LIMITS } from './limits.js'
import { type Query, type ResolvedQuery, resolveQuery, type SearchDeps } from './query.js'

/** A segment of a clip that matches the query. */
export interface Moment extends Span {
  readonly score: number // cosine
}

/** A clip that matches the query. */
export interface Hit {
  readonly rank: number
  readonly score: number // of the best moment
  readonly clip: Pick<Clip, 'id' | 'path' | 'name' | 'seconds' | 'hasAudio' | 'hasVisual'>
  readonly moments: readonly Moment[] // best first
  readonly links: { readonly media: string; readonly thumbnail: string | null }
}

/** The hits of a query, best first, and the times of its stages in ms. */
export interface SearchAnswer {
  readonly query: { readonly from: Modality; readonly seconds: number | null }
  readonly to: Modality
  readonly bundle: { readonly name: string; readonly fingerprint: string }
  readonly hits: readonly Hit[]
  readonly timings: {
    readonly decodeMs: number
    readonly encodeMs: number
    readonly searchMs: number
  }
}

/** A query and the number of hits. */
export interface SearchRequest {
  readonly query: Query
  readonly limit: number // of hits
}

/**
 * Finds the clips whose segments are nearest to any vector of a query. Throws the errors of
 * `resolveQuery`.
 */
export async function search(
  { query, limit }: SearchRequest,
  deps: SearchDeps,
): Promise<SearchAnswer> {
  const resolved = await resolveQuery(query, deps)
  const started = performance.now()
  const hits = await nearestClips(resolved, { limit, gallery: deps.gallery, signal: deps.signal })
  const { name, fingerprint } = deps.encoder.bundle
  return {
    query: { from: resolved.from, seconds: resolved.seconds },
    to: resolved.to,
    bundle: { name, fingerprint },
    hits,
    timings: rounded({ ...resolved.timings, searchMs: performance.now() - started }),
  }
}

interface HitParts {
  readonly limit: number
  readonly gallery: Gallery
  readonly signal?: AbortSignal | undefined
}

/**
 * Requests more segments until there are enough clips: the best segments may all belong to one long
 * clip.
 */
async function nearestClips(
  query: ResolvedQuery,
  { limit, gallery, signal }: HitParts,
): Promise<Hit[]> {
  const { catalogue } = gallery
  // A clip is its own nearest neighbour within a modality, which is no useful result. Across
  // modalities it is the best result.
  const except = query.clip && query.from === query.to ? await catalogue.segmentIds(query.clip) : []
  for (let wanted = limit * 4; ; wanted *= 4) {
    const { scores, exhausted } = await nearestSegments(query, { wanted, except, gallery, signal })
    const moments = momentsByClip(await catalogue.segmentsById([...scores.keys()]), scores)
    if (moments.size < limit && !exhausted) continue
    const best = [...moments].sort(([, a], [, b]) => b[0].score - a[0].score).slice(0, limit)
    const clips = await catalogue.clipsById(best.map(([id]) => id))
    return best
      .flatMap(([id, found]) => toHit(clips.get(id), found))
      .map((hit, i) => ({ rank: i + 1, ...hit }))
  }
}

interface SegmentParts {
  readonly wanted: number
  readonly except: readonly SegmentId[]
  readonly gallery: Gallery
  readonly signal?: AbortSignal | undefined
}

/** Returns segments with their cosine to the nearest vector of the query. */
async function nearestSegments(
  query: ResolvedQuery,
  { wanted, except, gallery, signal }: SegmentParts,
) {
  const scores = new Map<SegmentId, number>()
  let exhausted = true
  for (const vector of query.vectors) {
    const nearest = { vector, modality: query.to, limit: wanted, except }
    const { neighbours, isExhausted } = await gallery.nearest(nearest, { signal })
    exhausted &&= isExhausted
    for (const { segment, score } of neighbours) {
      scores.set(segment, Math.max(score, scores.get(segment) ?? -1))
    }
  }
  return { scores, exhausted }
}

type Moments = [Moment, ...Moment[]]

/** Groups segments by clip, as moments, best first. */
function momentsByClip(
  segments: ReadonlyMap<SegmentId, SegmentOfClip>,
  scores: ReadonlyMap<SegmentId, number>,
): Map<ClipId, Moments> {
  const byClip = new Map<ClipId, Moments>()
  const bestFirst = [...scores].sort(([, a], [, b]) => b - a)
  for (const [id, score] of bestFirst) {
    const segment = segments.get(id)
    if (!segment) continue // removed after the search of the index
    const moment = { start: segment.start, end: segment.end, score }
    const moments = byClip.get(segment.clip)
    if (moments) moments.push(moment)
    else byClip.set(segment.clip, [moment])
  }
  return byClip
}

function toHit(clip: Clip | undefined, moments: Moments): Omit<Hit, 'rank'>[] {
  if (!clip) return []
  const { id, path, name, seconds, hasAudio, hasVisual } = clip
  return [
    {
      score: moments[0].score,
      clip: { id, path, name, seconds, hasAudio, hasVisual },
      moments: moments.slice(0, SEARCH_LIMITS.momentsPerHit),
      links: links(id, hasVisual),
    },
  ]
}

/** Returns the HTTP paths of a clip's media and thumbnail. */
export function links(id: ClipId, hasVisual: boolean): Hit['links'] {
  return {
    media: `/v1/clips/${id}/media`,
    thumbnail: hasVisual ? `/v1/clips/${id}/thumbnail` : null,
  }
}

function rounded<T extends Record<string, number>>(timings: T): T {
  return Object.fromEntries(
    Object.entries(timings).map(([name, ms]) => [name, Math.round(ms * 10) / 10]),
  ) as T
}
