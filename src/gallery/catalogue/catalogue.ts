import type { Clip, ClipEvent, Label, Span } from '../../domain/clip.js'
import type { ClipId, SegmentId } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { JobQueue, Jobs } from '../../jobs/jobs.js'
import type { ChangeLog } from './change-log.js'
import type { CatalogueChange, CommitResult } from './changes.js'
import type { Failure } from './failure.js'
import type { FileReader } from './files.js'

/** A segment with the id of its clip. */
export interface SegmentOfClip extends Span {
  readonly id: SegmentId
  readonly clip: ClipId
}

/** A segment as a time span, with its labels. */
export interface TaggedSpan extends Span {
  readonly labels: readonly Label[]
}

/** The number of rows of each kind in a catalogue. */
export interface Counts {
  readonly clips: number
  readonly segments: number
  readonly embeddings: Readonly<Record<Modality, number>>
  readonly failures: number
}

/** Reads clips, segments, embeddings, labels and failures. */
export interface CatalogueReader {
  /** Returns undefined if the catalogue has no such clip. */
  clip(id: ClipId): Promise<Clip | undefined>
  /** Returns undefined if no clip has the path. */
  clipAt(path: string): Promise<Clip | undefined>
  /** Returns the clips of the same content, in the order in which they were indexed. */
  clipsWithHash(hash: string): Promise<readonly Clip[]>
  /**
   * Returns clips after the clip `after`, in the order in which they were indexed. Throws
   * CLIP_NOT_FOUND if `after` is not a clip id.
   */
  clips(page: {
    readonly after?: ClipId | undefined
    readonly limit: number
  }): Promise<readonly Clip[]>
  /** Returns the clips that exist, by id. */
  clipsById(ids: readonly ClipId[]): Promise<ReadonlyMap<ClipId, Clip>>
  /** Returns the segments that exist, by id. */
  segmentsById(ids: readonly SegmentId[]): Promise<ReadonlyMap<SegmentId, SegmentOfClip>>
  /** Returns the ids of the segments of a clip, ordered by time. */
  segmentIds(clip: ClipId): Promise<readonly SegmentId[]>
  /** Returns the embeddings of a clip in one modality, ordered by time. The list can be empty. */
  embeddings(clip: ClipId, modality: Modality): Promise<readonly UnitVector[]>
  /** Returns the segments of a clip with their labels, ordered by time. */
  tags(clip: ClipId): Promise<readonly TaggedSpan[]>
  /** Returns the events of a clip, ordered by start. */
  events(clip: ClipId): Promise<readonly ClipEvent[]>
  /** Returns the newest failures first. */
  failures(page: { readonly limit: number }): Promise<readonly Failure[]>
  /** Returns undefined if no failure is recorded for the path. */
  failureAt(path: string): Promise<Failure | undefined>
  /** Returns the current number of clips, segments, embeddings and failures. */
  counts(): Promise<Counts>
}

/**
 * The durable store of clips, segments, embeddings, labels, failures, jobs and the change log. All
 * writes to clips and failures use `commit`. The functions in write-clips.ts combine the changes.
 */
export interface Catalogue extends CatalogueReader, AsyncDisposable {
  readonly files: FileReader
  readonly log: ChangeLog
  readonly jobs: Jobs
  readonly queue: JobQueue
  /**
   * Writes all changes in one transaction, in order, or none of them. Throws EMBEDDING_SIZE or
   * ENCODER_FAILED if an index cannot take an embedding. Throws LeaseLost, DISK_FULL or
   * GALLERY_RETIRED.
   */
  commit(changes: readonly CatalogueChange[]): Promise<CommitResult>
}

/**
 * The header that a catalogue stores when it is created. Opening it with another header throws
 * FINGERPRINT_MISMATCH.
 */
export interface CatalogueHeader {
  readonly fingerprint: string
  readonly dimension: number
  /**
   * Fingerprints of bundles with the same embeddings. A stored header with one of them is updated.
   */
  readonly equals?: readonly string[]
}
