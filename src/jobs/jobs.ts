import type { Notifier } from '../concurrency/notifier.js'
import type { FileStat } from '../domain/file-stat.js'
import type { ErrorCode } from '../errors.js'

export type JobId = number
export type ItemId = number

/**
 * Which files a job takes: those without a clip; also those whose size or time is another than their clip's; or all,
 * encoded again whatever they were.
 */
export const JOB_MODES = ['missing', 'changed', 'all'] as const
export type JobMode = (typeof JOB_MODES)[number]

/** What is to be indexed; fixed when the job is made. */
export interface JobRequest {
  readonly sources: readonly string[] // absolute paths of files and folders
  readonly mode: JobMode
  readonly include: readonly string[] // globs; none: whatever is called as media files are
  readonly ignore: readonly string[] // globs of files and folders
  readonly defaultIgnores: boolean // leave out recycle bins, thumbnails, snapshots and their like
  readonly followLinks: boolean // into folders; links to files are always followed
  readonly within: readonly string[] // folders that no link may lead out of; none: it may lead anywhere
}

export const JOB_STATES = [
  'queued',
  'running',
  'paused',
  'succeeded',
  'partial',
  'failed',
  'canceled',
] as const
export type JobState = (typeof JOB_STATES)[number]

/**
 * How a file can end that was worked on. `copied`: another file of the same content lent its embeddings. `moved`: the
 * clip of a file that is gone was found again here. `partial`: some of it could not be decoded.
 */
export const OUTCOMES = ['indexed', 'copied', 'moved', 'unchanged', 'partial'] as const
export type Outcome = (typeof OUTCOMES)[number]

export const ITEM_STATES = ['queued', 'running', ...OUTCOMES, 'failed', 'canceled'] as const
export type ItemState = (typeof ITEM_STATES)[number]

export interface Reason {
  readonly code: ErrorCode
  readonly detail: string
}

/** How far a job has come. */
export interface JobProgress {
  readonly id: JobId
  readonly state: JobState
  readonly revision: number // goes up with everything that happens to the job or its items
  readonly isScanned: boolean // until then more items may come
  readonly counts: Readonly<Record<ItemState, number>> // `unchanged` counts files that the scan passed over, too
  readonly quarantined: number // files that failed before, are as they were, and were passed over
  readonly reasons: Readonly<Partial<Record<ErrorCode, number>>> // of the items that failed
  readonly stop: Reason | null // why it paused by itself
  readonly createdAt: string // ISO 8601, as all of these
  readonly startedAt: string | null // when it last began to run
  readonly endedAt: string | null
}

/** One scan of some sources. */
export interface Job extends JobRequest, JobProgress {
  readonly warnings: readonly string[]
  readonly skipped: SkippedExtensions
}

/** Files that a scan did not take for media, by extension; without a dot, '' where they have none. */
export type SkippedExtensions = Readonly<Record<string, number>>

/** One file of a job. */
export interface Item {
  readonly id: ItemId
  readonly path: string
  readonly state: ItemState
  readonly reason: Reason | null
  readonly attempts: number // that failed for a reason that may pass
  readonly endedRevision: number | null // the job's revision when the item ended
}

export const STAGES = ['read', 'decode', 'encode'] as const
export type Stage = (typeof STAGES)[number]

/** How fast a job goes, by the items that ended last. */
export interface Figures {
  readonly clipsPerSecond: number
  readonly realtime: number // seconds of media in a second
  readonly bottleneck: Stage | null // what items wait for most
  readonly etaSeconds: number | null // null while it is not known how many items there are
}

export interface ItemPage {
  readonly state?: ItemState | undefined
  readonly after?: ItemId | undefined
  readonly limit: number
}

/**
 * What users do with jobs. Throws JOB_NOT_FOUND, and JOB_STATE if the state of a job does not allow an
 * action.
 */
export interface Jobs {
  /**
   * Notified when this process has changed the state of a job. What other processes change is found by
   * asking.
   */
  readonly stateChanges: Notifier
  /** Notified when this process has changed a job or one of its items. */
  readonly progressChanges: Notifier
  /** Makes a job. The same key again answers the job that it made; for another request: JOB_KEY_REUSED. */
  create(request: JobRequest, key?: string): Promise<{ readonly job: Job; readonly isNew: boolean }>
  job(id: JobId): Promise<Job>
  /** What may be asked often, however much the job was asked to do. */
  progress(id: JobId): Promise<JobProgress>
  /** Newest first, before the job `before`. */
  jobs(page: {
    readonly before?: JobId | undefined
    readonly limit: number
  }): Promise<readonly Job[]>
  /** The newest job of the same request that has not ended. */
  unfinished(request: JobRequest): Promise<Job | undefined>
  /** In the order in which the scan found them. */
  items(id: JobId, page: ItemPage): Promise<readonly Item[]>
  /** Items that ended after a revision, in the order in which they did. */
  ended(
    id: JobId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly Item[]>
  /** How fast each of the jobs goes, in their order. */
  figures(jobs: readonly JobProgress[]): Promise<readonly Figures[]>
  /** What is under way is given up and waits with the rest. */
  pause(id: JobId, stop?: Reason): Promise<Job>
  /** It is scanned again, for what has come in the meantime. */
  resume(id: JobId): Promise<Job>
  /** What is under way is given up; what is done stays. */
  cancel(id: JobId): Promise<Job>
  /** Queues the items that failed again: all, or those of the reasons given. */
  retry(id: JobId, codes?: readonly ErrorCode[]): Promise<Job>
}

/** An item given to an owner, who must end it or extend the lease before it runs out. */
export interface Lease extends FileStat {
  readonly item: ItemId
  readonly claim: number
  readonly job: JobId
  readonly mode: JobMode
  readonly path: string
  readonly attempts: number
}

/** Another has the item, or its job is not running any more: what was made of it must be dropped. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/** How an item ended, and what it cost in waiting. Written in the one transaction with what it led to. */
export interface ItemEnd {
  readonly lease: Lease
  readonly outcome: Outcome
  readonly seconds: number // of media
  readonly stageMs: Readonly<Record<Stage, number>> // ms
}

/** Why an item failed. */
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

export interface ScanBatch {
  readonly files: readonly FoundFile[]
  readonly unchanged: readonly string[] // paths of files passed over
  readonly quarantined: readonly string[]
}

export interface LeaseHolder {
  readonly worker: string
  readonly leaseMs: number
  readonly job?: JobId | undefined // only this one
}

/** What a runner does with the jobs. Several may run on one queue; each is an owner. */
export interface JobQueue {
  /**
   * Gives out a job that waits to run, or whose scanner is gone. A job that has yet to be scanned waits while another
   * scans a source that overlaps with its own.
   */
  claimScan(claimant: LeaseHolder): Promise<Job | undefined>
  /** Adds what a scan found; files that are items of the job already are left out, and not counted again. LeaseLost. */
  addFound(id: JobId, owner: string, found: ScanBatch): Promise<void>
  /** Keeps a warning with the job; of very many, the first. */
  addWarning(id: JobId, detail: string): Promise<void>
  /** Says that the scan has found everything, and what it did not take. LeaseLost. */
  endScan(id: JobId, owner: string, skipped?: SkippedExtensions): Promise<void>
  /** Gives out items of running jobs, those of the job with the fewest under way first. */
  claimItems(claimant: LeaseHolder, limit: number): Promise<readonly Lease[]>
  /** Puts an item off that failed for a reason that may pass. LeaseLost. */
  postponeItem(lease: Lease, reason: Reason, ms: number): Promise<void>
  /** Extends every lease of an owner. */
  extendLeases(claimant: LeaseHolder): Promise<void>
  /** What an owner still holds: the rest was taken back, or its job was paused or canceled. */
  leasesOf(owner: string): Promise<HeldLeases>
  /** Queues again all that an owner held: one that is closing in good order, or that is dead. */
  releaseLeases(owner: string, how: 'closing' | 'dead'): Promise<void>
  /** Queues again what is held by leases that have run out. */
  expireLeases(): Promise<void>
  /** Everyone who holds a lease. */
  workers(): Promise<readonly string[]>
  /** Jobs that run, were scanned and have no item left. */
  jobsToFinish(claimant: Pick<LeaseHolder, 'job'>): Promise<readonly JobId[]>
  /** Ends a job that is exhausted; its state is what its items say. */
  finishJob(id: JobId): Promise<void>
}

export interface HeldLeases {
  readonly items: ReadonlySet<ItemId>
  readonly scans: ReadonlySet<JobId>
}
