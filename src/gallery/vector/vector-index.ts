import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { Change } from '../catalogue/change-log.js'

export interface NearestQuery {
  readonly vector: UnitVector
  readonly modality: Modality
  readonly limit: number
  /** Segments that must not be in the answer. */
  readonly except?: readonly SegmentId[] | undefined
}

export interface Neighbour {
  readonly segment: SegmentId
  readonly score: number // cosine, in [-1, 1]
}

/**
 * A view of the catalogue's change log that answers `nearest`. It can be deleted and rebuilt at any time; every engine
 * is held to test/contract/vector-index.ts.
 */
export interface VectorIndex extends AsyncDisposable {
  /** Last change applied; 0 for an empty index. */
  readonly cursor: Seq
  /** The cursor that it has on disk, from where it goes on after a restart. */
  readonly saved: Seq
  /** How many segments it holds of each modality. */
  readonly sizes: Readonly<Record<Modality, number>>
  /** Applies changes in order and moves the cursor to `cursor`. What lies at or before the cursor is passed over. */
  apply(changes: readonly Change[], cursor: Seq): Promise<void>
  /** Best first. Fewer than `limit` only when there are no more. */
  nearest(query: NearestQuery, signal?: AbortSignal): Promise<readonly Neighbour[]>
  /** Those of the segments that it holds in the modality. */
  holding(segments: readonly SegmentId[], modality: Modality): Promise<ReadonlySet<SegmentId>>
}
