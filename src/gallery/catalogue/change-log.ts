import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'

/**
 * One row of the change log. `put` adds the vector of a segment, `drop` removes all vectors of one.
 * `attributes` replaces the attributes of a clip; its row precedes the puts of its segments. A put whose
 * vector, or attributes whose clip, a later row removed are omitted.
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

export interface ChangePage {
  readonly changes: readonly Change[] // in order of seq
  readonly cursor: Seq // the last row read, which may be after the last change returned
  readonly compactedUpTo: Seq // superseded rows up to here are no longer in the log
}

/**
 * The log of all embeddings that were added or removed, and of the attributes of clips. An index is built
 * from it alone. The order of the
 * sequence numbers is the order of the commits: a reader that has seen row n never sees a row before n
 * appear later. An engine whose transactions can commit in another order must enforce this.
 */
export interface ChangeLog {
  /** The last row; 0 if nothing was ever written. */
  head(): Promise<Seq>
  /** At most `limit` rows after `after`, of one moment. */
  read(after: Seq, limit: number): Promise<ChangePage>
  /** A random token that the row has in this history of the log only; undefined if there is no such row. */
  historyTokenAt(seq: Seq): Promise<string | undefined>
  /**
   * Removes superseded rows up to `upTo`. A follower whose cursor is below `upTo`, and above 0, must
   * rebuild its index.
   */
  compact(upTo: Seq): Promise<void>
}
