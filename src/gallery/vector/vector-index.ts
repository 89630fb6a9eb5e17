import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { Change } from '../catalogue/change-log.js'
import type { Filter } from './filter.js'

export interface NearestQuery {
  readonly vector: UnitVector
  readonly modality: Modality
  readonly limit: number
  /** Segments that must not be in the answer. */
  readonly except?: readonly SegmentId[] | undefined
  /** Only segments that satisfy it, by their own attributes and those of their clip. */
  readonly filter?: Filter | undefined
}

export interface Neighbour {
  readonly segment: SegmentId
  readonly score: number // cosine, in [-1, 1]
}

export interface Neighbours {
  readonly neighbours: readonly Neighbour[] // best first; of equal scores, the smaller segment first
  readonly isExhausted: boolean // there are no more that satisfy the query
  /**
   * The index that answered. It changes if the index is rebuilt, so that a cursor into an answer can be
   * bound to it.
   */
  readonly generation: string
}

export interface IndexInfo {
  readonly cursor: Seq // the last change applied; 0 for an empty index
  readonly saved: Seq // the cursor on disk, at which the index is opened again
  readonly sizes: Readonly<Record<Modality, number>> // segments of each modality
  readonly generation: string
}

/** Answers from what an index holds at the time. */
export interface VectorReader {
  /**
   * Answers with `limit` neighbours; with fewer only if there are no more, however strict the filter is.
   * Throws EMBEDDING_SIZE.
   */
  nearest(query: NearestQuery, signal?: AbortSignal): Promise<Neighbours>
  /** Those of the segments that the index has in the modality. */
  holding(segments: readonly SegmentId[], modality: Modality): Promise<ReadonlySet<SegmentId>>
  info(): Promise<IndexInfo>
}

/** Applies the change log to an index. Each index has one follower. */
export interface VectorFollower {
  /** Applies changes in order and moves the cursor to `cursor`. Changes up to the cursor are skipped. */
  apply(changes: readonly Change[], cursor: Seq): Promise<void>
}

/**
 * An index that is built from the change log of a catalogue. It can be deleted and rebuilt at any time.
 * test/contract/vector-index.ts is the contract of every engine.
 */
export interface VectorIndex extends VectorReader, VectorFollower, AsyncDisposable {}
