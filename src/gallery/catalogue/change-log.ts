import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'

/**
 * One row of the change log. `put` adds the vector of a segment. `drop` removes all vectors of a
 * segment. `attributes` replaces the attributes of a clip, and its row precedes the puts of the
 * segments. If a later change deleted the vector, the put is omitted. If a later change deleted the
 * clip, its attributes are omitted.
 */
export type Change =
  | {
      readonly seq: Seq
      readonly op: 'put'
      readonly segment: SegmentId
      readonly clip: ClipId
      readonly modality: Modality
      readonly vector: UnitVector
      readonly attributes: Attributes // of the segment: its labels
    }
  | { readonly seq: Seq; readonly op: 'drop'; readonly segment: SegmentId }
  | {
      readonly seq: Seq
      readonly op: 'attributes'
      readonly clip: ClipId
      readonly attributes: Attributes
    }

/** One page of the change log, read in one transaction. */
export interface ChangePage {
  readonly changes: readonly Change[] // ordered by seq
  readonly cursor: Seq // the last row read; it can be after the last change
  readonly compactedUpTo: Seq // superseded rows up to this one are deleted
}

/**
 * The log of all embeddings that were added or removed, and of the attributes of clips. An index is
 * built from this log only. The sequence numbers follow the order of the commits: after a reader
 * has seen row n, no row before n appears. An engine that can commit in another order must enforce
 * this.
 */
export interface ChangeLog {
  /** Returns the last row, or 0 if the log has no rows. */
  head(): Promise<Seq>
  /** Returns at most `limit` rows after `after`. All rows are read at the same point in time. */
  read(after: Seq, limit: number): Promise<ChangePage>
  /**
   * Returns the random token of a row. The token identifies this history of the log. Returns
   * undefined if the row does not exist.
   */
  historyTokenAt(seq: Seq): Promise<string | undefined>
  /**
   * Removes superseded rows up to `upTo`. A follower with a cursor above 0 and below `upTo` must
   * rebuild its index.
   */
  compact(upTo: Seq): Promise<void>
}
