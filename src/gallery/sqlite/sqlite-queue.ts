import type { Database } from 'better-sqlite3'
import { endState, jobNotFound } from '../../jobs/job-state.js'
import {
  type HeldLeases,
  type ItemEnd,
  type ItemFailure,
  type Job,
  type JobId,
  type JobQueue,
  type JobState,
  type Jobs,
  type Lease,
  type LeaseHolder,
  LeaseLost,
  type Reason,
  type ScanBatch,
  type SkippedExtensions,
} from '../../jobs/jobs.js'
import { isInside } from '../../storage/path-within.js'
import { toJob, toLease, toProgress, toRequest } from './job-rows.js'
import type { InterruptedRow, JobStatements } from './job-statements.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'
import type { Statements } from './statements.js'
import { unsyncedTransaction, writeTransaction } from './transaction.js'

const WARNINGS_KEPT = 200
const INTERRUPTIONS = 10 // an item that is interrupted this often fails: it can kill its process

type JobChanges = Pick<Jobs, 'stateChanges' | 'progressChanges'>

/** Stores the items of jobs and their leases in SQLite. */
export class SqliteQueue implements JobQueue {
  readonly #db: Database
  readonly #sql: JobStatements & Pick<Statements, 'insertFailure'>

  readonly #changes: JobChanges

  constructor(
    db: Database,
    sql: JobStatements & Pick<Statements, 'insertFailure'>,
    changes: JobChanges,
  ) {
    this.#db = db
    this.#sql = sql
    this.#changes = changes
  }

  async claimScan({
    worker,
    leaseMs,
    job = null,
  }: Omit<LeaseHolder, 'job'> & { job?: JobId | null | undefined }): Promise<Job | undefined> {
    const claimed = writeTransaction(this.#db, () => {
      const now = Date.now()
      const scanned = this.#sql.scanning
        .all(now)
        .flatMap(({ request }) => toRequest(request).sources)
      const next = this.#sql.startable
        .all({ job, now })
        .find(
          ({ is_scanned, request }) => is_scanned || !overlap(toRequest(request).sources, scanned),
        )
      if (!next) return undefined
      this.#sql.startJob.run({
        job: next.number,
        owner: worker,
        until: now + leaseMs,
        now: new Date(now).toISOString(),
      })
      return toJob(next, this.#sql.counts.all(next.number))
    })
    if (claimed) this.#notifyState()
    return claimed
  }

  async addFound(
    id: JobId,
    owner: string,
    { files, unchanged, quarantined }: ScanBatch,
  ): Promise<void> {
    writeTransaction(this.#db, () => {
      const skipped = {
        unchanged: JSON.stringify(unchanged),
        quarantined: JSON.stringify(quarantined),
      }
      if (this.#sql.addSkipped.run({ job: id, owner, ...skipped }).changes === 0)
        throw new LeaseLost()
      for (const { path, bytes, mtimeMs } of files)
        this.#sql.insertItem.run({ job: id, path, bytes, mtimeMs })
    })
    this.#changes.progressChanges.notify()
  }

  async addWarning(id: JobId, detail: string): Promise<void> {
    mapSqliteErrors(() => this.#sql.warn.run({ job: id, detail, most: WARNINGS_KEPT }))
  }

  async endScan(id: JobId, owner: string, skipped: SkippedExtensions = {}): Promise<void> {
    const end = () => this.#sql.endScan.run({ job: id, owner, skipped: JSON.stringify(skipped) })
    if (mapSqliteErrors(end).changes === 0) throw new LeaseLost()
    this.#changes.progressChanges.notify()
  }

  async claimItems(
    { worker, leaseMs, job = null }: Omit<LeaseHolder, 'job'> & { job?: JobId | null | undefined },
    limit: number,
  ): Promise<Lease[]> {
    return unsyncedTransaction(this.#db, () => {
      const now = Date.now()
      const leases: Lease[] = []
      while (leases.length < limit) {
        const next = this.#sql.jobToServe.get({ job, now })
        const row =
          next &&
          this.#sql.claimItem.get({ job: next.number, owner: worker, until: now + leaseMs, now })
        if (!row) break
        leases.push(toLease(row))
      }
      return leases
    })
  }

  /** Ends an item within the transaction of the caller. Throws LeaseLost. */
  endItem(end: ItemEnd | ItemFailure): undefined {
    const isFailed = end.outcome === 'failed'
    const { read, decode, encode } = isFailed ? NO_STAGE_MS : end.stageMs
    const { changes } = this.#sql.settleItem.run({
      item: end.lease.item,
      claim: end.lease.claim,
      state: end.outcome,
      code: isFailed ? end.code : null,
      detail: isFailed ? end.detail : null,
      settled: this.#revise(end.lease.job),
      ended_ms: Date.now(),
      seconds: isFailed ? 0 : end.seconds,
      read_ms: read,
      decode_ms: decode,
      encode_ms: encode,
    })
    if (changes === 0) throw new LeaseLost()
  }

  async postponeItem({ item, claim }: Lease, reason: Reason, ms: number): Promise<void> {
    const postponed = { item, claim, ...reason, notBefore: Date.now() + ms }
    if (mapSqliteErrors(() => this.#sql.postponeItem.run(postponed)).changes === 0)
      throw new LeaseLost()
  }

  async extendLeases({ worker, leaseMs }: LeaseHolder): Promise<void> {
    writeTransaction(this.#db, () => {
      this.#sql.extendItems.run(Date.now() + leaseMs, worker)
      this.#sql.extendScans.run(Date.now() + leaseMs, worker)
    })
  }

  async leasesOf(owner: string): Promise<HeldLeases> {
    return {
      items: new Set(this.#sql.heldItems.all(owner).map(({ id }) => id)),
      scans: new Set(this.#sql.heldScans.all(owner).map(({ number }) => number)),
    }
  }

  async releaseLeases(owner: string, how: 'closing' | 'dead'): Promise<void> {
    writeTransaction(this.#db, () => {
      if (how === 'closing') this.#sql.releaseItems.run(owner)
      else for (const item of this.#sql.heldBy.all(owner)) this.#interrupt(item)
      this.#sql.releaseScans.run(owner)
    })
  }

  async expireLeases(): Promise<void> {
    writeTransaction(this.#db, () => {
      for (const item of this.#sql.overdue.all(Date.now())) this.#interrupt(item)
    })
  }

  async workers(): Promise<string[]> {
    return this.#sql.owners.all().map(({ owner }) => owner)
  }

  async jobsToFinish({ job = null }: { job?: JobId | null | undefined }): Promise<JobId[]> {
    return this.#sql.exhausted.all({ job }).map(({ number }) => number)
  }

  async finishJob(id: JobId): Promise<void> {
    writeTransaction(this.#db, () => {
      // Another process can have retried or paused the job.
      if (this.#sql.exhausted.all({ job: id }).length === 0) return
      const ended = new Date().toISOString()
      this.#sql.setState.run({
        job: id,
        state: this.#endState(id),
        ended,
        code: null,
        detail: null,
      })
    })
    this.#notifyState()
  }

  #notifyState(): void {
    this.#changes.progressChanges.notify()
    this.#changes.stateChanges.notify()
  }

  #interrupt(item: InterruptedRow): void {
    if (item.interruptions + 1 < INTERRUPTIONS) {
      this.#sql.interruptItem.run(item.id)
      return
    }
    const detail =
      `The process that worked on ${item.path} ended or stalled ${INTERRUPTIONS} times ` +
      'before it finished the file.'
    this.#fail(item, { code: 'ITEM_INTERRUPTED', detail })
  }

  #fail(
    { id, job, path, bytes, mtime_ms }: Omit<InterruptedRow, 'interruptions'>,
    { code, detail }: Reason,
  ): void {
    this.#sql.failItem.run({ item: id, code, detail, settled: this.#revise(job), now: Date.now() })
    this.#sql.insertFailure.run({
      path,
      code,
      detail,
      bytes,
      mtime_ms,
      failed_at: new Date().toISOString(),
    })
  }

  #revise(job: JobId): number {
    return this.#sql.revise.get(job)?.revision ?? 0
  }

  #endState(id: JobId): JobState {
    const row = this.#sql.progress.get(id)
    if (!row) throw jobNotFound(id)
    return endState(toProgress(row, this.#sql.counts.all(id)))
  }
}

const NO_STAGE_MS = { read: 0, decode: 0, encode: 0 }

/** Returns whether a source of one list is, or is inside, a source of the other. */
function overlap(some: readonly string[], others: readonly string[]): boolean {
  return some.some((one) => others.some((other) => isInside(one, other) || isInside(other, one)))
}
