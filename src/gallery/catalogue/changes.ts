import type { Metadata } from '../../domain/attributes.js'
import type { Clip, ClipEvent, EncodedSegment } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId } from '../../domain/ids.js'
import type { ItemEnd, ItemFailure } from '../../jobs/jobs.js'
import type { Failure } from './failure.js'

/** A clip that was encoded and has no id yet. */
export type NewClip = Omit<
  Clip,
  'id' | 'name' | 'state' | 'indexedAt' | 'hasAudio' | 'hasVisual' | 'metadata'
> & {
  readonly name?: string | undefined // of an upload
  readonly quickHash?: string // recognises the file if it is moved
  readonly metadata?: Metadata // of a clip of another catalogue
}

/** A file of known content. */
export interface HashedFile
  extends Pick<NewClip, 'path' | 'name' | 'bytes' | 'mtimeMs' | 'quickHash' | 'metadata'> {
  readonly hash: string
}

/** The path and stat of a file to which a clip was moved. */
export type MovedFile = FileStat & Pick<NewClip, 'path' | 'name'>

/**
 * One step of a transaction. Steps with a precondition say it in `if…`, or need the clip to exist; if
 * one does not hold, nothing of the transaction is written.
 */
export type CatalogueChange =
  /** Adds a clip. It replaces the clip at its path, whose id it keeps, or the clips of `id` and path. */
  | {
      readonly type: 'putClip'
      readonly clip: NewClip
      readonly segments: readonly EncodedSegment[]
      readonly id?: ClipId // of the clip in another catalogue
    }
  /** Adds a clip with the segments, embeddings and labels of `from`, whose content must be `file.hash`. */
  | {
      readonly type: 'copyClip'
      readonly from: ClipId
      readonly file: HashedFile
      readonly id?: ClipId
    }
  | {
      readonly type: 'moveClip'
      readonly id: ClipId
      readonly ifPath: string // another process may have moved it already
      readonly file: MovedFile
    }
  /** The file has the same content with another size or time. */
  | { readonly type: 'touchClip'; readonly id: ClipId; readonly file: FileStat }
  | { readonly type: 'removeClip'; readonly id: ClipId }
  /** Replaces the user's metadata of a clip. */
  | { readonly type: 'setMetadata'; readonly id: ClipId; readonly metadata: Metadata }
  /** Replaces the events of a clip. */
  | { readonly type: 'putEvents'; readonly id: ClipId; readonly events: readonly ClipEvent[] }
  /** A clip that is missing already keeps the time since when it is. */
  | { readonly type: 'setMissing'; readonly ids: readonly ClipId[]; readonly missing: boolean }
  /** Replaces an earlier failure at the path. */
  | { readonly type: 'recordFailure'; readonly failure: Omit<Failure, 'failedAt'> }
  | { readonly type: 'clearFailure'; readonly path: string }
  /** Ends an item of a job. Throws LeaseLost if the lease has expired. */
  | { readonly type: 'endItem'; readonly end: ItemEnd | ItemFailure }

/** The outcome of a transaction. */
export type CommitResult =
  | {
      readonly isCommitted: true
      readonly clips: readonly Clip[] // that were put, copied or moved, in the order of the changes
    }
  | {
      readonly isCommitted: false
      readonly conflict: CatalogueChange // whose precondition did not hold
    }
