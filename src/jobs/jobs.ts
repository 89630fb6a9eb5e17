import type { Notifier } from '../concurrency/notifier.js'
import type { FileStat } from '../domain/file-stat.js'
import type { ErrorCode } from '../errors.js'

/** The id of a job. */
export type JobId = number

/** The id of a job item. */
export type ItemId = number

/**
 * The files that a job indexes. `missing`: files without a clip. `changed`: also files whose size
 * or time differs from their clip. `all`: every file, encoded again.
 */
export const JOB_MODES = ['missing', 'changed', 'all'] as const
/** One of JOB_MODES. */
export type JobMode = (typeof JOB_MODES)[number]

/** The files that a job indexes. A request does not change after the job is created. */
export interface JobRequest {
  readonly sources: readonly string[] // absolute paths of files and folders
  readonly mode: JobMode
  readonly include: readonly string[] // globs; if empty, files with a media extension
  readonly ignore: readonly string[] // globs of files and folders
  readonly defaultIgnores: boolean // skip recycle bins, thumbnails, snapshots and similar folders
  readonly followLinks: boolean // links to folders; links to files are always followed
  /** Folders that must contain the targets of links. If empty, a link may have any target. */
  readonly within: readonly string[]
}

/** The states of a job. */
export const JOB_STATES = [
  'queued',
  'running',
  'paused',
  'succeeded',
  'partial',
  'failed',
  'canceled',
] as const
/** One of JOB_STATES. */
export type JobState = (typeof JOB_STATES)[number]

/**
 * The outcomes of a processed file. `copied`: the embeddings come from another file of the same
 * content. `moved`: the file belongs to the clip of a missing file. `partial`: a part of the file
 * could not be decoded.
 */
export const OUTCOMES = ['indexed', 'copied', 'moved', 'unchanged', 'partial'] as const
/** One of OUTCOMES. */
export type Outcome = (typeof OUTCOMES)[number]

/** The states of a job item. */
export const ITEM_STATES = ['queued', 'running', ...OUTCOMES, 'failed', 'canceled'] as const
/** One of ITEM_STATES. */
export type ItemState = (typeof ITEM_STATES)[number]

/** The reason why an item failed or a job stopped. */
export interface Reason {
  readonly code: ErrorCode
  readonly detail: string
}

/** The progress of a job. */
export interface JobProgress {
  readonly id: JobId
  readonly state: JobState
  readonly revision: number // increases with each change of the job or its items
  readonly isScanned: boolean // if false, the scan can add items
  /** `unchanged` includes files that the scan skipped. */
  readonly counts: Readonly<Record<ItemState, number>>
  readonly quarantined: number // skipped files that failed earlier and have not changed
  readonly reasons: Readonly<Partial<Record<ErrorCode, number>>> // number of failed items, by code
  readonly stop: Reason | null // set if the job paused itself
  readonly createdAt: string // ISO 8601, like the next two
  readonly startedAt: string | null // the last start
  readonly endedAt: string | null
}

/** A job: its request, its progress and its warnings. */
export interface Job extends JobRequest, JobProgress {
  readonly warnings: readonly string[]
  readonly skipped: SkippedExtensions
}

/**
 * The number of files that a scan skipped because they are not media, by extension. Extensions have
 * no dot. The key is empty for files without an extension.
 */
export type SkippedExtensions = Readonly<Record<string, number>>

/** One file of a job. */
export interface Item {
  readonly id: ItemId
  readonly path: string
  readonly state: ItemState
  readonly reason: Reason | null
  readonly attempts: number // attempts that failed for a temporary reason
  readonly endedRevision: number | null // the job's revision when the item ended
}

/** The stages that an item waits for. */
export const STAGES = ['read', 'decode', 'encode'] as const
/** One of STAGES. */
export type Stage = (typeof STAGES)[number]

/** The throughput of a job, computed from the items that ended last. */
export interface Figures {
  readonly clipsPerSecond: number
  readonly realtime: number // seconds of media per second
  readonly bottleneck: Stage | null // the stage with the longest wait
  readonly etaSeconds: number | null // null until the scan has ended
}

/** One page of the items of a job. */
export interface ItemPage {
  readonly state?: ItemState | undefined
  readonly after?: ItemId | undefined
  readonly limit: number
}

/**
 * The actions of users on jobs. Throws JOB_NOT_FOUND if a job does not exist. Throws JOB_STATE if
 * the state of a job does not allow an action.
 */
export interface Jobs {
  /**
   * Notifies when this process changes the state of a job. Poll to find changes of other processes.
   */
  readonly stateChanges: Notifier
  /** Notifies when this process changes a job or one of its items. */
  readonly progressChanges: Notifier
  /**
   * Creates a job. If the key was used before, returns the existing job. Throws JOB_KEY_REUSED if
   * that job has another request.
   */
  create(request: JobRequest, key?: string): Promise<{ readonly job: Job; readonly isNew: boolean }>
  /** Returns a job. */
  job(id: JobId): Promise<Job>
  /** Returns the progress of a job. It is cheap for jobs of any size. */
  progress(id: JobId): Promise<JobProgress>
  /** Returns the jobs before the job `before`, newest first. */
  jobs(page: {
    readonly before?: JobId | undefined
    readonly limit: number
  }): Promise<readonly Job[]>
  /** Returns the newest job of the same request that has not ended. */
  unfinished(request: JobRequest): Promise<Job | undefined>
  /** Returns the items of a job, in the order of the scan. */
  items(id: JobId, page: ItemPage): Promise<readonly Item[]>
  /** Returns the items that ended after a revision, in the order of their end. */
  ended(
    id: JobId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly Item[]>
  /** Returns the throughput of each job, in the order of `jobs`. */
  figures(jobs: readonly JobProgress[]): Promise<readonly Figures[]>
  /** Pauses a job. Items in progress are stopped and queued. */
  pause(id: JobId, stop?: Reason): Promise<Job>
  /** Resumes a paused job. The job scans its sources again. */
  resume(id: JobId): Promise<Job>
  /** Cancels a job. Items in progress are stopped. Finished items stay. */
  cancel(id: JobId): Promise<Job>
  /** Queues failed items: all of them, or those with one of the codes. */
  retry(id: JobId, codes?: readonly ErrorCode[]): Promise<Job>
}

/**
 * An item that an owner processes. The owner must end the item or extend the lease before it
 * expires.
 */
export interface Lease extends FileStat {
  readonly item: ItemId
  readonly claim: number
  readonly job: JobId
  readonly mode: JobMode
  readonly path: string
  readonly attempts: number
}

/**
 * The lease is no longer valid: another owner has the item, or its job is not running. The caller
 * must discard its results.
 */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/**
 * The outcome of an item and its waits. One transaction writes it with the changes to the
 * catalogue.
 */
export interface ItemEnd {
  readonly lease: Lease
  readonly outcome: Outcome
  readonly seconds: number // of media
  readonly stageMs: Readonly<Record<Stage, number>> // waits per stage, in ms
}

/** The failure of an item. */
export interface ItemFailure {
  readonly lease: Lease
  readonly code: string
  readonly detail: string
  readonly outcome: 'failed'
}

/** A file that a scan found. */
export interface FoundFile extends FileStat {
  readonly path: string
}

/** A batch of files that a scan found or skipped. */
export interface ScanBatch {
  readonly files: readonly FoundFile[]
  readonly unchanged: readonly string[] // paths of skipped files
  readonly quarantined: readonly string[]
}

/** The owner of leases, and the duration of a lease. */
export interface LeaseHolder {
  readonly worker: string
  readonly leaseMs: number
  readonly job?: JobId | undefined // restricts the owner to one job
}

/**
 * The operations of a runner on jobs. Several runners can use one queue. Each runner is an owner.
 */
export interface JobQueue {
  /**
   * Claims a job that is queued, or whose scan lease has expired. An unscanned job waits while
   * another job scans an overlapping source. Returns undefined if there is none.
   */
  claimScan(claimant: LeaseHolder): Promise<Job | undefined>
  /** Adds the files of a scan. Omits files that are already items of the job. Throws LeaseLost. */
  addFound(id: JobId, owner: string, found: ScanBatch): Promise<void>
  /** Adds a warning to the job. Keeps only the first warnings if there are many. */
  addWarning(id: JobId, detail: string): Promise<void>
  /** Ends the scan and stores which files it skipped. Throws LeaseLost. */
  endScan(id: JobId, owner: string, skipped?: SkippedExtensions): Promise<void>
  /** Claims items of running jobs. The job with the fewest items in progress is first. */
  claimItems(claimant: LeaseHolder, limit: number): Promise<readonly Lease[]>
  /**
   * Postpones an item that failed for a temporary reason, by `ms` milliseconds. Throws LeaseLost.
   */
  postponeItem(lease: Lease, reason: Reason, ms: number): Promise<void>
  /** Extends every lease of an owner by `leaseMs` from now. */
  extendLeases(claimant: LeaseHolder): Promise<void>
  /**
   * Returns the leases that an owner still has. It loses a lease that expires or whose job is
   * paused or canceled.
   */
  leasesOf(owner: string): Promise<HeldLeases>
  /**
   * Queues the items of an owner again. `closing`: the owner shuts down normally. `dead`: its
   * process ended, and each item counts as interrupted.
   */
  releaseLeases(owner: string, how: 'closing' | 'dead'): Promise<void>
  /** Queues items with expired leases again. Each item counts as interrupted. */
  expireLeases(): Promise<void>
  /** Returns the owners of all leases. */
  workers(): Promise<readonly string[]>
  /** Returns running jobs that are scanned and have no open items. */
  jobsToFinish(claimant: Pick<LeaseHolder, 'job'>): Promise<readonly JobId[]>
  /** Ends a job that has no open items. Its state follows from its items. */
  finishJob(id: JobId): Promise<void>
}

/** The leases of one owner. */
export interface HeldLeases {
  readonly items: ReadonlySet<ItemId>
  readonly scans: ReadonlySet<JobId>
}
