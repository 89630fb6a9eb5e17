import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { Change } from '../catalogue/change-log.js'
import type { Filter } from './filter.js'

/** A search for the segments nearest to a vector. */
export interface NearestQuery {
  readonly vector: UnitVector
  readonly modality: Modality
  readonly limit: number
  /** Segments that the answer omits. */
  readonly except?: readonly SegmentId[] | undefined
  /**
   * Restricts the answer to segments whose attributes, or those of their clip, satisfy the filter.
   */
  readonly filter?: Filter | undefined
}

/** One segment of an answer. */
export interface Neighbour {
  readonly segment: SegmentId
  readonly score: number // cosine, in [-1, 1]
}

/** The answer to a query. */
export interface Neighbours {
  /** Best first. If scores are equal, the smaller segment id is first. */
  readonly neighbours: readonly Neighbour[]
  readonly isExhausted: boolean // no further segments satisfy the query
  /**
   * Identifies the index that answered. It changes if the index is rebuilt. A page cursor stores
   * it.
   */
  readonly generation: string
}

/** The position and the size of an index. */
export interface IndexInfo {
  readonly cursor: Seq // the last change applied; 0 for an empty index
  readonly saved: Seq // the cursor of the snapshot on disk
  readonly sizes: Readonly<Record<Modality, number>> // segments of each modality
  readonly generation: string
}

/** Answers from the current content of an index. */
export interface VectorReader {
  /**
   * Returns `limit` neighbours. Returns fewer only if no more segments satisfy the filter. Throws
   * EMBEDDING_SIZE.
   */
  nearest(query: NearestQuery, signal?: AbortSignal): Promise<Neighbours>
  /** Returns the given segments that the index has in the modality. */
  holding(segments: readonly SegmentId[], modality: Modality): Promise<ReadonlySet<SegmentId>>
  /** Returns the position and the size of the index. */
  info(): Promise<IndexInfo>
}

/** Applies the change log to an index. Each index has one follower. */
export interface VectorFollower {
  /**
   * Applies changes in order and moves the cursor to `cursor`. Skips changes up to the old cursor.
   */
  apply(changes: readonly Change[], cursor: Seq): Promise<void>
}

/**
 * An index that is built from the change log of a catalogue. It can be deleted and rebuilt at any
 * time. test/contract/vector-index.ts tests every engine.
 */
export interface VectorIndex extends VectorReader, VectorFollower, AsyncDisposable {}
