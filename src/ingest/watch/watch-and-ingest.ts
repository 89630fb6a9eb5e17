import type { JobRequest } from '../../jobs/jobs.js'
import type { IngestDeps } from '../ingest-file.js'
import { JobRunner, type RunnerOptions } from '../runner/job-runner.js'
import { type WatchOptions, watch } from './watch.js'

/** Options of `watchAndIngest`. */
export type WatchAndIngestOptions = Omit<RunnerOptions, 'job'> & WatchOptions

/**
 * Watches the sources of a request and runs the resulting jobs until the signal aborts. If the
 * watcher or the job runner fails, the other stops too.
 */
export async function watchAndIngest(
  request: JobRequest,
  deps: IngestDeps,
  options: WatchAndIngestOptions,
): Promise<void> {
  const failed = new AbortController()
  const signal = deps.signal ? AbortSignal.any([deps.signal, failed.signal]) : failed.signal
  const { catalogue } = deps.gallery
  const tasks = [
    new JobRunner({ ...deps, signal }, options).run(),
    watch(request, { catalogue, signal }, options),
  ]
  try {
    await Promise.all(tasks)
  } finally {
    failed.abort()
    await Promise.allSettled(tasks)
  }
}
