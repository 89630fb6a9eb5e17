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

/** Of the encoder, which has half of the cores: so that files are decoded on the rest while others are hashed, encoded or written. */
export const FILES_PER_THREAD = 6

export interface IngestFailure {
  readonly path: string
  readonly code: ErrorCode
  readonly detail: string
}

export interface IngestReport {
  readonly job: JobId
  readonly indexed: number // with those whose embeddings were copied from a file of the same content
  readonly unchanged: number // with those that were moved
  readonly partial: number // some of the file could not be decoded
  readonly quarantined: number // failed before and are as they were: not tried again
  readonly failed: readonly IngestFailure[]
  readonly warnings: readonly string[]
  readonly skipped: SkippedExtensions // files that are not taken for media
  readonly stop: Reason | null // why it stopped before everything was done
  readonly seconds: number
}

/** The signal aborted before everything was done; the job is paused. */
export class IngestInterrupted extends Error {
  override readonly name = 'IngestInterrupted'

  constructor(
    readonly report: IngestReport,
    reason: unknown,
  ) {
    super(reason instanceof Error ? reason.message : String(reason), { cause: reason })
  }
}

export interface IngestProgress {
  readonly files: number // known so far
  readonly done: number
  readonly path: string // the file just done, and how it ended
  readonly outcome: Outcome | IngestFailure
  readonly figures: Figures
}

export interface IngestPathsOptions extends Partial<Omit<JobRequest, 'sources'>> {
  readonly concurrency: number // files on their way at once
  readonly except?: readonly string[] // folders that are not entered
  readonly onWarning: (detail: string) => void
  readonly onProgress: (progress: IngestProgress) => void
}

/**
 * Indexes files and folders as a job of its own, run here to its end. Aborted, the job is paused; called again for the
 * same, it goes on with it.
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

const PAGE = 500
