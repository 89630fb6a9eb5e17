import type { Metadata } from '../../domain/attributes.js'
import type { Clip, ClipEvent, EncodedSegment } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId } from '../../domain/ids.js'
import type { ItemEnd, ItemFailure } from '../../jobs/jobs.js'
import type { Failure } from './failure.js'

/** An encoded clip that has no id yet. */
export type NewClip = Omit<
  Clip,
  'id' | 'name' | 'state' | 'indexedAt' | 'hasAudio' | 'hasVisual' | 'metadata'
> & {
  readonly name?: string | undefined // of an upload
  readonly quickHash?: string // identifies the file after a move
  readonly metadata?: Metadata // if the clip comes from another catalogue
}

/** A file with the hash of its content. */
export interface HashedFile
  extends Pick<NewClip, 'path' | 'name' | 'bytes' | 'mtimeMs' | 'quickHash' | 'metadata'> {
  readonly hash: string
}

/** The new path and stat of the file of a moved clip. */
export type MovedFile = FileStat & Pick<NewClip, 'path' | 'name'>

/**
 * One step of a transaction. A step has a precondition if it has an `if…` field or needs an
 * existing clip. If one precondition fails, the transaction writes nothing.
 */
export type CatalogueChange =
  /**
   * Adds a clip. It replaces the clip at the same path and keeps the id of that clip. If `id` is
   * present, it replaces the clips with that id and path.
   */
  | {
      readonly type: 'putClip'
      readonly clip: NewClip
      readonly segments: readonly EncodedSegment[]
      readonly id?: ClipId // the id in another catalogue
    }
  /**
   * Adds a clip with the segments, embeddings and labels of `from`. The content of `from` must be
   * `file.hash`.
   */
  | {
      readonly type: 'copyClip'
      readonly from: ClipId
      readonly file: HashedFile
      readonly id?: ClipId
    }
  /** Changes the path of a clip. */
  | {
      readonly type: 'moveClip'
      readonly id: ClipId
      readonly ifPath: string // another process can have moved it
      readonly file: MovedFile
    }
  /** Updates the size and time of a file whose content is the same. */
  | { readonly type: 'touchClip'; readonly id: ClipId; readonly file: FileStat }
  /** Removes a clip with its segments. */
  | { readonly type: 'removeClip'; readonly id: ClipId }
  /** Replaces the user metadata of a clip. */
  | { readonly type: 'setMetadata'; readonly id: ClipId; readonly metadata: Metadata }
  /** Replaces the events of a clip. */
  | { readonly type: 'putEvents'; readonly id: ClipId; readonly events: readonly ClipEvent[] }
  /** Marks clips as missing or present. A clip that is already missing keeps its first time. */
  | { readonly type: 'setMissing'; readonly ids: readonly ClipId[]; readonly missing: boolean }
  /** Records a failure. It replaces an earlier failure of the same path. */
  | { readonly type: 'recordFailure'; readonly failure: Omit<Failure, 'failedAt'> }
  /** Removes the failure of a path, if there is one. */
  | { readonly type: 'clearFailure'; readonly path: string }
  /** Ends an item of a job. Throws LeaseLost if the lease has expired. */
  | { readonly type: 'endItem'; readonly end: ItemEnd | ItemFailure }

/** The outcome of a transaction. */
export type CommitResult =
  | {
      readonly isCommitted: true
      readonly clips: readonly Clip[] // put, copied or moved, in the order of the changes
    }
  | {
      readonly isCommitted: false
      readonly conflict: CatalogueChange // the change with the failed precondition
    }
