import { resolve } from 'node:path'
import type { ErrorCode } from '../../errors.js'
import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import { hasEnded } from '../../jobs/job-state.js'
import type {
  Figures,
  JobId,
  JobRequest,
  Jobs,
  Outcome,
  Reason,
  SkippedExtensions,
} from '../../jobs/jobs.js'
import { resumeOrCreateJob } from '../../jobs/resume-or-create.js'
import { realPaths } from '../../storage/path-within.js'
import type { IngestDeps } from '../ingest-file.js'
import { jobRequest } from '../scan/job-request.js'
import { type EndedItem, JobRunner } from './job-runner.js'

/**
 * Files that run at once per encoder thread. The encoder uses half of the cores. The others decode
 * while further files are hashed, encoded or written.
 */
export const FILES_PER_THREAD = 6

/** A file that could not be indexed, and why. */
export interface IngestFailure {
  readonly path: string
  readonly code: ErrorCode
  readonly detail: string
}

/** The result of `ingestPaths`: numbers of files by outcome, and the duration. */
export interface IngestReport {
  readonly job: JobId
  readonly indexed: number // includes copies of a clip with the same content
  readonly unchanged: number // includes moved files
  readonly partial: number // part of the file could not be decoded
  readonly quarantined: number // failed before, unchanged since: not retried
  readonly failed: readonly IngestFailure[]
  readonly warnings: readonly string[]
  readonly skipped: SkippedExtensions // files that are not media, by extension
  readonly stop: Reason | null // why the job stopped early
  readonly seconds: number
}

/** Signals that the caller aborted an ingestion before its end. The job is then paused. */
export class IngestInterrupted extends Error {
  override readonly name = 'IngestInterrupted'

  constructor(
    readonly report: IngestReport,
    reason: unknown,
  ) {
    super(reason instanceof Error ? reason.message : String(reason), { cause: reason })
  }
}

/** The state of a job after a file ends. */
export interface IngestProgress {
  readonly files: number // found so far
  readonly done: number
  readonly path: string // of the file that ended last
  readonly outcome: Outcome | IngestFailure
  readonly figures: Figures
}

/** Options of `ingestPaths`. Options of the job request have the defaults of `jobRequest`. */
export interface IngestPathsOptions extends Partial<Omit<JobRequest, 'sources'>> {
  readonly concurrency: number // files that run at once
  readonly except?: readonly string[] // folders that the scan does not enter
  readonly onWarning: (detail: string) => void
  readonly onProgress: (progress: IngestProgress) => void
}

/**
 * Indexes files and folders as one job and runs the job to its end. Throws IngestInterrupted if the
 * signal aborts, and pauses the job. A later call with the same request resumes it.
 */
export async function ingestPaths(
  paths: readonly string[],
  deps: IngestDeps,
  options: IngestPathsOptions,
): Promise<IngestReport> {
  const started = performance.now()
  const { catalogue } = deps.gallery
  const sources = await realPaths(paths.map((path) => resolve(path)))
  const { id } = await resumeOrCreateJob(jobRequest(sources, options), catalogue)
  const onItem = async ({ path, result }: EndedItem) => {
    const outcome = typeof result === 'string' ? result : { path, ...result }
    options.onProgress({ ...(await progressOf(id, catalogue)), path, outcome })
  }
  await new JobRunner(deps, {
    concurrency: options.concurrency,
    except: options.except ?? [],
    job: id,
    onItem,
  }).run()
  if (deps.signal?.aborted) {
    if (!hasEnded((await catalogue.jobs.progress(id)).state)) await catalogue.jobs.pause(id)
  }
  const seconds = Math.round(performance.now() - started) / 1000
  const report = { ...(await reportOf(id, catalogue)), seconds }
  for (const detail of report.warnings) options.onWarning(detail)
  if (deps.signal?.aborted) throw new IngestInterrupted(report, deps.signal.reason)
  return report
}

async function progressOf(
  id: JobId,
  { jobs }: Catalogue,
): Promise<Pick<IngestProgress, 'files' | 'done' | 'figures'>> {
  const progress = await jobs.progress(id)
  const { counts, quarantined } = progress
  const [figures] = await jobs.figures([progress])
  const files = quarantined + Object.values(counts).reduce((sum, count) => sum + count, 0)
  return { files, done: files - counts.queued - counts.running, figures: figures as Figures }
}

async function reportOf(id: JobId, { jobs }: Catalogue): Promise<Omit<IngestReport, 'seconds'>> {
  const { counts, quarantined, warnings, skipped, stop } = await jobs.job(id)
  return {
    job: id,
    indexed: counts.indexed + counts.copied,
    unchanged: counts.unchanged + counts.moved,
    partial: counts.partial,
    quarantined,
    failed: await failuresOf(id, jobs),
    warnings,
    skipped,
    stop,
  }
}

async function failuresOf(id: JobId, jobs: Jobs): Promise<IngestFailure[]> {
  const failed: IngestFailure[] = []
  for (let after = 0; ; ) {
    const page = await jobs.items(id, { state: 'failed', after, limit: PAGE })
    failed.push(...page.flatMap(({ path, reason }) => (reason ? [{ path, ...reason }] : [])))
    if (page.length < PAGE) return failed
    after = page.at(-1)?.id ?? after
  }
}

const PAGE = 500 // items
