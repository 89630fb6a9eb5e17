import type { JobRequest } from '../../jobs/jobs.js'
import type { IngestDeps } from '../ingest-file.js'
import { JobRunner, type RunnerOptions } from '../runner/job-runner.js'
import { type WatchOptions, watch } from './watch.js'

export type WatchAndIngestOptions = Omit<RunnerOptions, 'job'> & WatchOptions

/** Watches the sources of a request and runs the jobs that come of it, until the signal aborts; one that fails ends both. */
export async function watchAndIngest(
  request: JobRequest,
  deps: IngestDeps,
  options: WatchAndIngestOptions,
): Promise<void> {
  const failed = new AbortController()
  const signal = deps.signal ? AbortSignal.any([deps.signal, failed.signal]) : failed.signal
  const { catalogue } = deps.gallery
  const both = [
    new JobRunner({ ...deps, signal }, options).run(),
    watch(request, { catalogue, signal }, options),
  ]
  try {
    await Promise.all(both)
  } finally {
    failed.abort()
    await Promise.allSettled(both)
  }
}
