import type { Clip, ClipEvent, Label, Span } from '../../domain/clip.js'
import type { ClipId, SegmentId } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { JobQueue, Jobs } from '../../jobs/jobs.js'
import type { ChangeLog } from './change-log.js'
import type { CatalogueChange, CommitResult } from './changes.js'
import type { Failure } from './failure.js'
import type { FileReader } from './files.js'

export interface SegmentOfClip extends Span {
  readonly id: SegmentId
  readonly clip: ClipId
}

export interface TaggedSpan extends Span {
  readonly labels: readonly Label[]
}

export interface Counts {
  readonly clips: number
  readonly segments: number
  readonly embeddings: Readonly<Record<Modality, number>>
  readonly failures: number
}

export interface CatalogueReader {
  clip(id: ClipId): Promise<Clip | undefined>
  clipAt(path: string): Promise<Clip | undefined>
  /** Clips of the same content, in the order in which they were indexed. */
  clipsWithHash(hash: string): Promise<readonly Clip[]>
  /** Clips in the order in which they were indexed, after the clip `after`. */
  clips(page: {
    readonly after?: ClipId | undefined
    readonly limit: number
  }): Promise<readonly Clip[]>
  clipsById(ids: readonly ClipId[]): Promise<ReadonlyMap<ClipId, Clip>>
  segmentsById(ids: readonly SegmentId[]): Promise<ReadonlyMap<SegmentId, SegmentOfClip>>
  /** The ids of a clip's segments, in order of time. */
  segmentIds(clip: ClipId): Promise<readonly SegmentId[]>
  /** A clip's embeddings of one modality, in order of time; empty where it has none. */
  embeddings(clip: ClipId, modality: Modality): Promise<readonly UnitVector[]>
  /** A clip's segments with their labels, in order of time. */
  tags(clip: ClipId): Promise<readonly TaggedSpan[]>
  /** A clip's events, in order of their start. */
  events(clip: ClipId): Promise<readonly ClipEvent[]>
  failures(page: { readonly limit: number }): Promise<readonly Failure[]>
  failureAt(path: string): Promise<Failure | undefined>
  counts(): Promise<Counts>
}

/**
 * The durable store of clips, segments, embeddings, labels, failures, jobs and the change log. All writes
 * to clips and failures go through `commit`; write-clips.ts has the rules that combine them.
 */
export interface Catalogue extends CatalogueReader, AsyncDisposable {
  readonly files: FileReader
  readonly log: ChangeLog
  readonly jobs: Jobs
  readonly queue: JobQueue
  /**
   * Writes all changes in one transaction, in order, or none of them. Throws EMBEDDING_SIZE and
   * ENCODER_FAILED for embeddings that an index cannot take, LeaseLost, DISK_FULL, GALLERY_RETIRED.
   */
  commit(changes: readonly CatalogueChange[]): Promise<CommitResult>
}

/** What a catalogue is stamped with when it is made; it refuses to open under another stamp (FINGERPRINT_MISMATCH). */
export interface CatalogueHeader {
  readonly fingerprint: string
  readonly dimension: number
  /** Fingerprints of the same embeddings: a catalogue that has one of them gets this stamp. */
  readonly equals?: readonly string[]
}
