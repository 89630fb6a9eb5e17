import type { Clip, EncodedSegment, Label, Span } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId, SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { ItemEnd, JobQueue, Jobs, Lease } from '../../jobs/jobs.js'
import type { Files } from './files.js'

/** One row of the change log, with the vector it put. A later drop may have taken the vector of an early put away: such puts are left out. */
export type Change =
  | {
      readonly seq: Seq
      readonly op: 'put'
      readonly segment: SegmentId
      readonly modality: Modality
      readonly vector: UnitVector
    }
  | { readonly seq: Seq; readonly op: 'drop'; readonly segment: SegmentId }

export interface ChangePage {
  readonly changes: readonly Change[] // in order of seq
  readonly cursor: Seq // the last row read, which may lie behind the last change returned
  readonly compactedUpTo: Seq // up to here, what later rows undid is left out of the log
}

/** A clip that was encoded and waits for its id. By its quick hash it is known again where its file is moved. */
export type NewClip = Omit<Clip, 'id' | 'name' | 'indexedAt' | 'hasAudio' | 'hasVisual'> & {
  readonly name?: string | undefined // of an upload
  readonly quickHash?: string
}

/** A file of known content. */
export type HashedFile = Pick<NewClip, 'path' | 'name' | 'hash' | 'bytes' | 'mtimeMs' | 'quickHash'>

/** A file that a clip was moved to. */
export type MovedFile = FileStat & Pick<NewClip, 'path' | 'name'>

export interface SegmentOfClip extends Span {
  readonly id: SegmentId
  readonly clip: ClipId
}

export interface TaggedSpan extends Span {
  readonly labels: readonly Label[]
}

/** A file that could not be indexed: kept until it is indexed or gone, so that no failure is silent. */
export interface Failure {
  readonly path: string
  readonly code: string
  readonly detail: string
  readonly bytes: number
  readonly mtimeMs: number
  readonly failedAt: string
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
  failures(page: { readonly limit: number }): Promise<readonly Failure[]>
  failureAt(path: string): Promise<Failure | undefined>
  counts(): Promise<Counts>
  /** Last row of the change log; 0 where nothing was ever written. */
  head(): Promise<Seq>
  changes(after: Seq, limit: number): Promise<ChangePage>
  /** A random mark that the row has in this history of the log and in no other; undefined where there is no such row. */
  historyTokenAt(seq: Seq): Promise<string | undefined>
}

/**
 * The truth: clips, segments, embeddings, labels, failures, jobs, change log. Each method is one transaction; where it is
 * told of a job's item, that ends in the same one (LeaseLost: nothing is written).
 */
export interface Catalogue extends CatalogueReader, AsyncDisposable {
  readonly files: Files
  readonly jobs: Jobs
  readonly queue: JobQueue
  /** Adds a clip whole, in place of what stood at its path; a clip that is replaced keeps its id. Clears the path's failure. */
  put(clip: NewClip, segments: readonly EncodedSegment[], end?: ItemEnd): Promise<Clip>
  /**
   * Puts a clip of the same content as `like`, with what was made of that. Undefined where `like` is gone, or has another
   * content by now.
   */
  copy(like: Clip, file: HashedFile, end?: ItemEnd): Promise<Clip | undefined>
  /** Says that the file at the clip's path has the same content at a new time. */
  touch(id: ClipId, file: FileStat, end?: ItemEnd): Promise<void>
  /**
   * Says that the clip's file now lies at another path, and clears that path's failure. Undefined where it is no longer at
   * the path that `clip` says: another has moved it first.
   */
  move(clip: Clip, file: MovedFile, end?: ItemEnd): Promise<Clip | undefined>
  /** Takes a clip with its segments out; false where there is none. */
  remove(id: ClipId): Promise<boolean>
  /**
   * Puts a clip under the id that it has in another catalogue, whose place this one is to take. With no segments it waits
   * to be indexed: its hash must then be '', so that no file is taken for it.
   */
  adopt(clip: Clip, segments: readonly EncodedSegment[]): Promise<void>
  /** Puts a clip under its id with what was made of `like`, as `copy` does. False where that is gone, or another by now. */
  adoptCopy(clip: Clip, like: Clip): Promise<boolean>
  /**
   * Takes out of the log, up to a row, what later rows undid. Who had applied some of it and not all up to that row must
   * begin anew.
   */
  compact(upTo: Seq): Promise<void>
  /** Records that the file at a path could not be indexed, in place of an earlier failure there. */
  fail(failure: Omit<Failure, 'failedAt'>, lease?: Lease): Promise<void>
}

/** What a catalogue is stamped with when it is made; it refuses to open under another stamp (FINGERPRINT_MISMATCH). */
export interface CatalogueHeader {
  readonly fingerprint: string
  readonly dimension: number
  /** Fingerprints of the same embeddings: a catalogue that has one of them gets this stamp. */
  readonly equals?: readonly string[]
}
