import type { JobRequest } from '../gallery/jobs.js'
import type { IngestParts } from './ingest-file.js'
import { JobRunner, type RunnerOptions } from './job-runner.js'
import { type WatchOptions, watch } from './watch.js'

export type KeepOptions = Omit<RunnerOptions, 'job'> & WatchOptions

/** Watches the sources of a request and runs the jobs that come of it, until the signal aborts; one that fails ends both. */
export async function keep(request: JobRequest, parts: IngestParts, options: KeepOptions): Promise<void> {
  const failed = new AbortController()
  const signal = parts.signal ? AbortSignal.any([parts.signal, failed.signal]) : failed.signal
  const { catalogue } = parts.gallery
  const both = [new JobRunner({ ...parts, signal }, options).run(), watch(request, { catalogue, signal }, options)]
  try {
    await Promise.all(both)
  } finally {
    failed.abort()
    await Promise.allSettled(both)
  }
}
