import { randomUUID } from 'node:crypto'
import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, SegmentId, Seq } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import { checkEmbedding, cosine, type UnitVector } from '../../domain/vector.js'
import type { Change } from '../catalogue/change-log.js'
import { matches } from '../vector/filter.js'
import { TopK } from '../vector/top-k.js'
import type { IndexInfo, NearestQuery, Neighbours, VectorIndex } from '../vector/vector-index.js'

interface Segment {
  readonly clip: ClipId
  readonly attributes: Attributes
}

/**
 * Compares a query with every vector. The answers are exact: tests compare other engines with them.
 */
export class MemoryIndex implements VectorIndex {
  #cursor: Seq = 0
  readonly #generation = randomUUID()
  readonly #vectors: Readonly<Record<Modality, Map<SegmentId, UnitVector>>> = {
    audio: new Map(),
    visual: new Map(),
  }
  readonly #segments = new Map<SegmentId, Segment>()
  readonly #clips = new Map<ClipId, Attributes>()

  constructor(readonly dimension: number) {}

  async info(): Promise<IndexInfo> {
    const { audio, visual } = this.#vectors
    const sizes = { audio: audio.size, visual: visual.size }
    return { cursor: this.#cursor, saved: 0, sizes, generation: this.#generation }
  }

  async apply(changes: readonly Change[], cursor: Seq): Promise<void> {
    for (const change of changes) if (change.seq > this.#cursor) this.#applyOne(change)
    this.#cursor = Math.max(this.#cursor, cursor)
  }

  async nearest(query: NearestQuery, signal?: AbortSignal): Promise<Neighbours> {
    const { vector, modality, limit } = query
    signal?.throwIfAborted()
    checkEmbedding(vector, this.dimension)
    const isAllowed = this.#allowed(query)
    const best = new TopK(limit)
    let allowed = 0
    for (const [segment, candidate] of this.#vectors[modality]) {
      if (!isAllowed(segment)) continue
      allowed++
      best.push({ segment, score: cosine(vector, candidate) })
    }
    const { neighbours } = best
    const isExhausted = neighbours.length === allowed
    return { neighbours, isExhausted, generation: this.#generation }
  }

  async holding(
    segments: readonly SegmentId[],
    modality: Modality,
  ): Promise<ReadonlySet<SegmentId>> {
    return new Set(segments.filter((segment) => this.#vectors[modality].has(segment)))
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #allowed({ except, filter }: NearestQuery): (segment: SegmentId) => boolean {
    const excepted = new Set(except)
    return (segment) => {
      if (excepted.has(segment)) return false
      return filter === undefined || matches(filter, this.#attributesOf(segment))
    }
  }

  #attributesOf(id: SegmentId): Attributes {
    const segment = this.#segments.get(id)
    return segment ? { ...this.#clips.get(segment.clip), ...segment.attributes } : {}
  }

  #applyOne(change: Change): void {
    this.#cursor = change.seq
    if (change.op === 'attributes') {
      this.#clips.set(change.clip, change.attributes)
    } else if (change.op === 'put') {
      const { segment, clip, attributes, vector } = change
      this.#vectors[change.modality].set(segment, vector)
      this.#segments.set(segment, { clip, attributes })
    } else {
      for (const modality of MODALITIES) this.#vectors[modality].delete(change.segment)
      this.#segments.delete(change.segment)
    }
  }
}
