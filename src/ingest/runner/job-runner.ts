import { setMaxListeners } from 'node:events'
import { KeyedMutex } from '../../concurrency/keyed-mutex.js'
import { Notifier } from '../../concurrency/notifier.js'
import { toAppError } from '../../errors.js'
import { recordFailure } from '../../gallery/catalogue/write-clips.js'
import { hasEnded } from '../../jobs/job-state.js'
import {
  type Job,
  type JobId,
  type Lease,
  type LeaseHolder,
  LeaseLost,
  type Outcome,
  type Reason,
} from '../../jobs/jobs.js'
import { isTemporary, stopsJob } from '../../jobs/retry-policy.js'
import { newWorkerId, releaseOrphanedLeases } from '../../jobs/worker-id.js'
import { sweepStagedFiles } from '../../media/staging/staged-file.js'
import { isFolderOffline, isSpecialFile } from '../../storage/file-stat.js'
import { isInside } from '../../storage/path-within.js'
import { type IngestDeps, ingestFile } from '../ingest-file.js'
import { markMissing } from '../scan/missing.js'
import { scanJob } from '../scan/scan-job.js'

const LEASE_MS = 30_000
const POLL_MS = 1_000 // for changes that other processes make
const ENCODER_RESTART_MS = 60_000 // how long an item waits for the encoder to restart
const ATTEMPTS = 3 // of an item that fails with a temporary error
const JOBS_STOPPED = 500 // at most, by one error
const BACK_OFF_MS = 1000 // after the first attempt; each later wait is four times as long

/** Options of a JobRunner. */
export interface RunnerOptions {
  readonly concurrency: number // files that run at once
  readonly except: readonly string[] // folders that no scan enters
  readonly job?: JobId // runs only this job, and returns when it is neither queued nor running
  readonly onItem?: (ended: EndedItem) => Promise<void>
}

/** An item that ended, and its result. */
export interface EndedItem {
  readonly job: JobId
  readonly path: string
  readonly result: Outcome | Reason
}

/** Runs the jobs of a catalogue: scans their sources, ingests their items and finishes them. */
export class JobRunner {
  readonly #deps: IngestDeps
  readonly #options: RunnerOptions
  readonly #holder: LeaseHolder
  readonly #tasks = new Map<string, Task>()
  readonly #wakeup = new Notifier()
  readonly #folders = new Map<JobId, readonly string[]>() // that must contain a job's files
  #extendedMs = 0
  #lastPollMs = -Infinity
  #fatalError: unknown = null

  constructor(deps: IngestDeps, options: RunnerOptions) {
    this.#deps = { ...deps, hashMutex: new KeyedMutex() }
    this.#options = options
    this.#holder = { worker: newWorkerId(), leaseMs: LEASE_MS, job: options.job }
  }

  /**
   * Runs until the signal aborts, or until the job of the options is neither queued nor running.
   * Then aborts its tasks and releases their leases. Throws the first fatal error.
   */
  async run(): Promise<void> {
    using _subscription = this.#jobs.stateChanges.subscribe(() => this.#pollNow())
    const wake = () => this.#wakeup.notify()
    this.#deps.signal?.addEventListener('abort', wake)
    try {
      await sweepStagedFiles()
      await releaseOrphanedLeases(this.#queue)
      while (!(await this.#isOver())) {
        const { count } = this.#wakeup
        await this.#tick().catch((error) => this.#stopJobs(error))
        await this.#wakeup.wait(count, Math.max(0, this.#msUntilDue))
        if (this.#fatalError) throw this.#fatalError
      }
    } finally {
      this.#deps.signal?.removeEventListener('abort', wake)
      await this.#stop()
    }
  }

  #pollNow(): void {
    this.#lastPollMs = -Infinity
    this.#wakeup.notify()
  }

  get #queue() {
    return this.#deps.gallery.catalogue.queue
  }

  get #jobs() {
    return this.#deps.gallery.catalogue.jobs
  }

  async #isOver(): Promise<boolean> {
    if (this.#deps.signal?.aborted) return true
    const { job } = this.#options
    if (job === undefined || this.#msUntilDue > 0) return false
    const { state } = await this.#jobs.progress(job)
    return state !== 'queued' && state !== 'running'
  }

  /** Returns the time until the next poll in ms. An item that ends triggers a claim at once. */
  get #msUntilDue(): number {
    return this.#lastPollMs + POLL_MS - performance.now()
  }

  async #tick(): Promise<void> {
    const isDue = this.#msUntilDue <= 0
    if (isDue) {
      this.#lastPollMs = performance.now()
      await this.#extend()
      await this.#dropLost()
      await this.#start()
    }
    const hasFreeCapacity = await this.#claim()
    if (!isDue && !hasFreeCapacity) return
    for (const id of await this.#queue.jobsToFinish(this.#holder)) {
      this.#spawn('finish', id, (signal) => this.#finish(id, signal))
    }
  }

  async #start(): Promise<void> {
    const job = this.#has('scan') ? undefined : await this.#queue.claimScan(this.#holder)
    if (job && !job.isScanned) this.#spawn('scan', job.id, (signal) => this.#scan(job, signal))
  }

  /** Claims items for the free slots. Returns true if there were fewer items than slots. */
  async #claim(): Promise<boolean> {
    const free = this.#options.concurrency - this.#count('item')
    const leases = free > 0 ? await this.#queue.claimItems(this.#holder, free) : []
    for (const lease of leases)
      this.#spawn('item', lease.item, (signal) => this.#ingest(lease, signal))
    return leases.length < free
  }

  /** Extends leases after a third of their time, so a late poll does not lose them. */
  async #extend(): Promise<void> {
    if (performance.now() - this.#extendedMs < LEASE_MS / 3) return
    this.#extendedMs = performance.now()
    await this.#queue.extendLeases(this.#holder)
    await this.#queue.expireLeases()
  }

  /** Aborts tasks that lost their lease, and tasks of paused or canceled jobs. */
  async #dropLost(): Promise<void> {
    const held = await this.#queue.leasesOf(this.#holder.worker)
    for (const { kind, id, abort } of this.#tasks.values()) {
      const isLost = kind === 'item' ? !held.items.has(id) : kind === 'scan' && !held.scans.has(id)
      if (isLost) abort.abort(new LeaseLost())
    }
  }

  /** Pauses all jobs if the error keeps every job from running. Throws any other error. */
  async #stopJobs(error: unknown): Promise<void> {
    const { code, message: detail } = toAppError(error)
    if (!stopsJob(code)) throw error
    const { job } = this.#options
    const open = (await this.#jobs.jobs({ limit: JOBS_STOPPED })).filter(
      ({ state }) => !hasEnded(state),
    )
    const ids = job === undefined ? open.map(({ id }) => id) : [job]
    for (const id of ids) await this.#pause(id, { code, detail })
  }

  /** Pauses a job. Ignores JOB_STATE: another task may pause the job for the same reason first. */
  async #pause(id: JobId, reason: Reason): Promise<void> {
    await this.#jobs.pause(id, reason).catch((error) => {
      if (toAppError(error).code !== 'JOB_STATE') throw error
    })
  }

  async #scan(job: Job, signal: AbortSignal): Promise<void> {
    const { catalogue } = this.#deps.gallery
    const deps = { catalogue, owner: this.#holder.worker, except: this.#options.except, signal }
    try {
      await scanJob(job, deps)
    } catch (error) {
      const { code, message: detail } = toAppError(error)
      if (code !== 'GLOB_INVALID') throw error
      await this.#pause(job.id, { code, detail }) // an earlier version created the job
    }
  }

  async #ingest(lease: Lease, signal: AbortSignal): Promise<void> {
    let result: Outcome | Reason | undefined
    try {
      const within = await this.#within(lease.job)
      result = (await ingestFile(lease.path, { ...this.#deps, signal }, { lease, within })).outcome
    } catch (error) {
      if (error instanceof LeaseLost || signal.aborted) return
      const { code, message: detail } = toAppError(error)
      result = await this.#fail(lease, { code, detail })
    }
    if (result) await this.#options.onItem?.({ job: lease.job, path: lease.path, result })
  }

  /** Returns the folders that must contain a job's files, or undefined if any folder may. */
  async #within(id: JobId): Promise<readonly string[] | undefined> {
    const known = this.#folders.get(id) ?? (await this.#jobs.job(id)).within
    this.#folders.set(id, known)
    return known.length > 0 ? known : undefined
  }

  /** Records a failure. Returns undefined if the item has not ended because it is retried. */
  async #fail(lease: Lease, reason: Reason): Promise<Reason | undefined> {
    const { encoder, gallery } = this.#deps
    const { catalogue } = gallery
    const hasEncoder = encoder.isAvailable || (await encoder.restarted(ENCODER_RESTART_MS))
    if (stopsJob(reason.code) || !hasEncoder || (await this.#isOffline(lease, reason))) {
      await this.#pause(lease.job, reason)
      return undefined
    }
    const mayPass = isTemporary(reason.code) && !(await isSpecialFile(lease.path))
    if (mayPass && lease.attempts + 1 < ATTEMPTS) {
      await catalogue.queue.postponeItem(lease, reason, BACK_OFF_MS * 4 ** lease.attempts)
      return undefined
    }
    const { path, bytes, mtimeMs } = lease
    await recordFailure(catalogue, { path, bytes, mtimeMs, ...reason }, lease)
    return reason
  }

  /** Returns true if the whole source of a missing file is offline, like an unmounted drive. */
  async #isOffline({ job, path }: Lease, { code }: Reason): Promise<boolean> {
    if (code !== 'FILE_NOT_FOUND') return false
    const { sources } = await this.#jobs.job(job)
    const source = sources.find((source) => source !== path && isInside(source, path))
    return source !== undefined && isFolderOffline(source)
  }

  async #finish(id: JobId, signal: AbortSignal): Promise<void> {
    const { gallery } = this.#deps
    const { catalogue } = gallery
    const { jobs } = catalogue
    const { offline } = await markMissing((await jobs.job(id)).sources, catalogue, signal)
    for (const [folder, clips] of offline) {
      await this.#queue.addWarning(
        id,
        `${folder} is gone or empty, with ${clips} clips in the library. The clips are kept.`,
      )
    }
    await gallery.follow(signal)
    await this.#queue.finishJob(id)
    this.#folders.delete(id)
  }

  #spawn(kind: Task['kind'], id: number, work: (signal: AbortSignal) => Promise<void>): void {
    const key = `${kind} ${id}`
    if (this.#tasks.has(key)) return
    const abort = new AbortController()
    setMaxListeners(0, abort.signal) // each frame in the encoder adds a listener
    const done = work(abort.signal)
      .catch(async (error) => {
        if (!(error instanceof LeaseLost) && !abort.signal.aborted) await this.#stopJobs(error)
      })
      .catch((error) => {
        this.#fatalError = error
      })
      .finally(() => {
        this.#tasks.delete(key)
        if (kind === 'item') this.#wakeup.notify()
        else this.#pollNow()
      })
    this.#tasks.set(key, { kind, id, abort, done })
  }

  #has(kind: Task['kind']): boolean {
    return this.#count(kind) > 0
  }

  #count(kind: Task['kind']): number {
    return [...this.#tasks.values()].filter((task) => task.kind === kind).length
  }

  async #stop(): Promise<void> {
    const tasks = [...this.#tasks.values()]
    for (const { abort } of tasks) abort.abort(this.#deps.signal?.reason)
    await Promise.all(tasks.map(({ done }) => done))
    await this.#queue.releaseLeases(this.#holder.worker, 'closing')
  }
}

interface Task {
  readonly kind: 'scan' | 'item' | 'finish'
  readonly id: number // of the job, or of the item
  readonly abort: AbortController
  readonly done: Promise<void>
}
