import type { Database } from 'better-sqlite3'
import { Notifier } from '../../concurrency/notifier.js'
import { AppError, type ErrorCode } from '../../errors.js'
import { checkAction, hasEnded, type JobAction, jobNotFound } from '../../jobs/job-state.js'
import {
  type Figures,
  type Item,
  type ItemPage,
  type Job,
  type JobId,
  type JobProgress,
  type JobRequest,
  type JobState,
  type Jobs,
  type Reason,
  STAGES,
} from '../../jobs/jobs.js'
import type { DiskReserve } from '../../storage/disk-reserve.js'
import { fromRequest, type JobRow, toItem, toJob, toProgress } from './job-rows.js'
import type { FigureRow, JobStatements } from './job-statements.js'
import { writeTransaction } from './transaction.js'

const JOBS_KEPT = 500 // the jobs that ended last
const CLIPS_IN_FIGURES = 100

/** Stores jobs in SQLite. */
export class SqliteJobs implements Jobs {
  readonly stateChanges = new Notifier()
  readonly progressChanges = new Notifier()
  readonly #db: Database
  readonly #sql: JobStatements
  readonly #reserve: DiskReserve // lets a job write why it stops on a full disk

  constructor(db: Database, sql: JobStatements, reserve: DiskReserve) {
    this.#db = db
    this.#sql = sql
    this.#reserve = reserve
  }

  async create(request: JobRequest, key?: string): Promise<{ job: Job; isNew: boolean }> {
    this.#reserve.fill()
    return this.#write(() => {
      const text = fromRequest(request)
      const known = key === undefined ? undefined : this.#sql.jobOfKey.get(key)
      if (known && known.request !== text) {
        throw new AppError(
          'JOB_KEY_REUSED',
          `The key ${key} belongs to job ${known.number}, which has another request. ` +
            'Use a new key.',
        )
      }
      if (known) return { job: this.#toJob(known), isNew: false }
      this.#sql.deleteOldJobs.run(JOBS_KEPT)
      const row = this.#sql.insertJob.get({
        key: key ?? null,
        request: text,
        mode: request.mode,
        now: new Date().toISOString(),
      })
      if (!row) throw new AppError('INTERNAL', 'SQLite did not return the created job')
      const sources = JSON.stringify(request.sources)
      this.#sql.addSources.run({ sources, now: row.created_at })
      this.#sql.deleteInnerSources.run()
      return { job: this.#toJob(row), isNew: true }
    })
  }

  async job(id: JobId): Promise<Job> {
    return this.#job(id)
  }

  async progress(id: JobId): Promise<JobProgress> {
    return this.#progress(id)
  }

  async jobs({
    before = Number.MAX_SAFE_INTEGER,
    limit,
  }: {
    before?: JobId | undefined
    limit: number
  }): Promise<Job[]> {
    const rows = this.#sql.jobs.all(before, limit)
    const counts = this.#sql.countsOf.all(JSON.stringify(rows.map(({ number }) => number)))
    return rows.map((row) =>
      toJob(
        row,
        counts.filter(({ job }) => job === row.number),
      ),
    )
  }

  async unfinished(request: JobRequest): Promise<Job | undefined> {
    const row = this.#sql.unfinishedJob.get(fromRequest(request))
    return row && this.#toJob(row)
  }

  async items(
    id: JobId,
    {
      state = null,
      after = 0,
      limit,
    }: Omit<ItemPage, 'state'> & { state?: ItemPage['state'] | null },
  ): Promise<Item[]> {
    this.#progress(id)
    return this.#sql.items.all({ job: id, state, after, limit }).map(toItem)
  }

  async ended(
    id: JobId,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<Item[]> {
    return this.#sql.ended.all(id, after, limit).map(toItem)
  }

  async figures(jobs: readonly JobProgress[]): Promise<Figures[]> {
    const queries = jobs.map(({ id, startedAt }) => ({
      id,
      since: Date.parse(startedAt ?? '') || 0,
    }))
    const rows = this.#sql.figures.all({ jobs: JSON.stringify(queries), clips: CLIPS_IN_FIGURES })
    return jobs.map((job, i) => toFigures(job, JSON.parse(rows[i]?.figures ?? '{}')))
  }

  async pause(id: JobId, stop?: Reason): Promise<Job> {
    const pause = () => {
      this.#sql.queueRunning.run(id)
      this.#setState(id, 'paused', stop)
    }
    return this.#reserve.use(() => this.#act('pause', id, pause))
  }

  async resume(id: JobId): Promise<Job> {
    this.#reserve.fill()
    return this.#act('resume', id, () => {
      this.#sql.scanAgain.run(id)
      this.#setState(id, 'queued')
    })
  }

  async cancel(id: JobId): Promise<Job> {
    return this.#act('cancel', id, () => {
      this.#sql.cancelOpen.run(id)
      this.#setState(id, 'canceled')
    })
  }

  async retry(id: JobId, codes?: readonly ErrorCode[]): Promise<Job> {
    return this.#act('retry', id, ({ state }) => {
      const { changes } = this.#sql.retryFailed.run({
        job: id,
        codes: codes ? JSON.stringify(codes) : null,
      })
      if (changes === 0)
        throw new AppError(
          'JOB_STATE',
          `No item of job ${id} failed${codes ? ` with ${codes.join(' or ')}` : ''}.`,
        )
      if (hasEnded(state)) this.#setState(id, 'queued')
      else this.#sql.revise.run(id)
    })
  }

  #write<T>(work: () => T): T {
    const result = writeTransaction(this.#db, work)
    this.progressChanges.notify()
    this.stateChanges.notify()
    return result
  }

  #act(action: JobAction, id: JobId, work: (job: JobProgress) => void): Job {
    return this.#write(() => {
      const job = this.#progress(id)
      checkAction(action, job)
      work(job)
      return this.#job(id)
    })
  }

  #setState(job: JobId, state: JobState, stop?: Reason): void {
    const ended = hasEnded(state) ? new Date().toISOString() : null
    this.#sql.setState.run({
      job,
      state,
      ended,
      code: stop?.code ?? null,
      detail: stop?.detail ?? null,
    })
  }

  #progress(id: JobId): JobProgress {
    const row = this.#sql.progress.get(id)
    if (!row) throw jobNotFound(id)
    return toProgress(row, this.#sql.counts.all(id))
  }

  #job(id: JobId): Job {
    const row = this.#sql.job.get(id)
    if (!row) throw jobNotFound(id)
    return this.#toJob(row)
  }

  #toJob(row: JobRow): Job {
    return toJob(row, this.#sql.counts.all(row.number))
  }
}

function toFigures(job: JobProgress, last: FigureRow): Figures {
  if (last.clips === 0)
    return { clipsPerSecond: 0, realtime: 0, bottleneck: null, etaSeconds: null }
  const started = Date.parse(job.startedAt ?? '') || 0
  const since = last.clips < CLIPS_IN_FIGURES ? started : (last.since_ms ?? started)
  const until = job.endedAt ? Date.parse(job.endedAt) : Date.now()
  const seconds = Math.max(1, until - since) / 1000
  const clipsPerSecond = last.clips / seconds
  const slowest = STAGES.reduce((a, b) => (last[b] > last[a] ? b : a))
  const { queued, running } = job.counts
  return {
    clipsPerSecond,
    realtime: last.seconds / seconds,
    bottleneck: last[slowest] > 0 ? slowest : null,
    etaSeconds: job.isScanned ? (queued + running) / clipsPerSecond : null,
  }
}
