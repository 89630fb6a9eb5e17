import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import { checkEmbedding, cosine, type UnitVector } from '../../domain/vector.js'
import type { Change } from '../catalogue/change-log.js'
import { TopK } from '../vector/top-k.js'
import type { NearestQuery, Neighbour, VectorIndex } from '../vector/vector-index.js'

/** Compares a query with every vector: exact, the oracle of the other engines. */
export class MemoryIndex implements VectorIndex {
  #cursor: Seq = 0
  readonly #vectors: Record<Modality, Map<SegmentId, UnitVector>> = {
    audio: new Map(),
    visual: new Map(),
  }

  constructor(readonly dimension: number) {}

  get cursor(): Seq {
    return this.#cursor
  }

  get saved(): Seq {
    return 0
  }

  get sizes(): Record<Modality, number> {
    return { audio: this.#vectors.audio.size, visual: this.#vectors.visual.size }
  }

  async apply(changes: readonly Change[], cursor: Seq): Promise<void> {
    for (const change of changes) {
      if (change.seq > this.#cursor) this.#applyOne(change)
    }
    this.#cursor = Math.max(this.#cursor, cursor)
  }

  async nearest(
    { vector, modality, limit, except }: NearestQuery,
    signal?: AbortSignal,
  ): Promise<readonly Neighbour[]> {
    signal?.throwIfAborted()
    checkEmbedding(vector, this.dimension)
    const excepted = new Set(except)
    const best = new TopK(limit)
    for (const [segment, candidate] of this.#vectors[modality]) {
      if (!excepted.has(segment)) best.push({ segment, score: cosine(vector, candidate) })
    }
    return best.neighbours
  }

  async holding(
    segments: readonly SegmentId[],
    modality: Modality,
  ): Promise<ReadonlySet<SegmentId>> {
    return new Set(segments.filter((segment) => this.#vectors[modality].has(segment)))
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #applyOne(change: Change): void {
    if (change.op === 'put') {
      this.#vectors[change.modality].set(change.segment, change.vector)
    } else {
      this.#vectors.audio.delete(change.segment)
      this.#vectors.visual.delete(change.segment)
    }
    this.#cursor = change.seq
  }
}
