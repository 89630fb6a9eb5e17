import { relative } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type FSWatcher, watch as watchFiles } from 'chokidar'
import type { Catalogue } from '../gallery/catalogue.js'
import { hasEnded } from '../gallery/job-state.js'
import type { JobId, JobRequest } from '../gallery/jobs.js'
import { isGone } from './file-facts.js'
import { selection } from './globs.js'
import { isInside } from './inside.js'
import { jobRequest } from './job-request.js'
import { Settling } from './settling.js'
import { takeUp } from './take-up.js'

const LOOK_MS = 500
const FILES_OF_A_JOB = 1000

export const SETTLE_SECONDS = 5
export const RESCAN_MINUTES = 60

export interface WatchOptions {
  readonly settleMs: number // for so long a file must have stood still
  readonly rescanMs: number // between scans of everything, for what no event told of
  readonly pollMs: number | null // ask each file this often, where a network mount tells nothing
  readonly except: readonly string[]
  readonly onWarning: (detail: string) => void
}

/**
 * Keeps the library as its sources are, until the signal aborts: makes a job of what has changed and stands still, one at
 * a time, and now and then of everything. Whoever runs the queue's jobs does the rest.
 */
export async function watch(
  request: JobRequest,
  { catalogue, signal }: { readonly catalogue: Catalogue; readonly signal: AbortSignal },
  options: WatchOptions,
): Promise<void> {
  const settling = new Settling(options.settleMs)
  const ready = new Set<string>()
  const watcher = watchSources(request, options).on('all', (_, path) => settling.saw(path))
  watcher.on('error', (error) =>
    options.onWarning(`Watching is not whole, the next scan finds the rest: ${String(error)}`),
  )
  try {
    let job: JobId | undefined
    for (let scannedMs = Number.NEGATIVE_INFINITY; !signal.aborted; ) {
      for (const path of await settling.ready()) ready.add(path)
      if (job === undefined || hasEnded((await catalogue.jobs.progress(job)).state)) {
        const isDue = performance.now() - scannedMs >= options.rescanMs
        if (isDue) scannedMs = performance.now()
        job = isDue ? (await takeUp(request, catalogue)).id : await jobOf(ready, request, catalogue)
      }
      await setTimeout(LOOK_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
    }
  } finally {
    await watcher.close()
  }
}

function watchSources({ sources, include, ignore, followLinks }: JobRequest, options: WatchOptions): FSWatcher {
  const { takes, ignores } = selection(include, ignore)
  const below = (path: string) => {
    const source = sources.find((source) => isInside(source, path))
    return source === undefined ? '' : relative(source, path)
  }
  return watchFiles([...sources], {
    ignored: (path, stats) => {
      if (options.except.includes(path)) return true
      const name = below(path)
      return name !== '' && (ignores(name) || (stats?.isFile() === true && !takes(name)))
    },
    ignoreInitial: true, // the first job finds what is there
    ignorePermissionErrors: true,
    followSymlinks: followLinks,
    usePolling: options.pollMs !== null,
    ...(options.pollMs !== null && { interval: options.pollMs, binaryInterval: options.pollMs }),
  })
}

/** A job for what is ready. What is gone, and was never known, is nobody's concern. */
async function jobOf(ready: Set<string>, request: JobRequest, { files, jobs }: Catalogue): Promise<JobId | undefined> {
  const sources: string[] = []
  for (const path of [...ready].slice(0, FILES_OF_A_JOB)) {
    ready.delete(path)
    if (!(await isGone(path)) || (await files.under(path, { limit: 1 })).length > 0) sources.push(path)
  }
  if (sources.length === 0) return undefined
  return (await jobs.create(jobRequest(sources, request))).job.id
}
