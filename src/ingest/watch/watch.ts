import { readdir } from 'node:fs/promises'
import { relative } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type FSWatcher, watch as watchFiles } from 'chokidar'
import { joinedPath, pathBytes, pathText } from '../../domain/path-text.js'
import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import { hasEnded } from '../../jobs/job-state.js'
import type { JobId, JobRequest } from '../../jobs/jobs.js'
import { resumeOrCreateJob } from '../../jobs/resume-or-create.js'
import { isMissing } from '../../storage/file-stat.js'
import { isInside, realPaths } from '../../storage/path-within.js'
import { type FileFilter, fileFilter } from '../scan/file-filter.js'
import { jobRequest } from '../scan/job-request.js'
import { WriteStability } from './write-stability.js'

const POLL_MS = 500
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
  const settling = new WriteStability(options.settleMs)
  const ready = new Set<string>()
  const watched = new WatchScope(request, options)
  const watcher = watched.watch().on('all', (_, path) => settling.touch(path))
  watcher.on('raw', async (_, name, details) => {
    for (const path of await watched.resolveRawEvent(name, details as RawDetails))
      settling.touch(path)
  })
  watcher.on('error', (error) =>
    options.onWarning(`Watching is not whole, the next scan finds the rest: ${String(error)}`),
  )
  try {
    let job: JobId | undefined
    for (let scannedMs = Number.NEGATIVE_INFINITY; !signal.aborted; ) {
      for (const path of await settling.takeStable()) ready.add(path)
      if (job === undefined || hasEnded((await catalogue.jobs.progress(job)).state)) {
        const isDue = performance.now() - scannedMs >= options.rescanMs
        if (isDue) scannedMs = performance.now()
        job = isDue
          ? (await resumeOrCreateJob(request, catalogue)).id
          : await jobOf(ready, request, catalogue)
      }
      await setTimeout(POLL_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
    }
  } finally {
    await watcher.close()
  }
}

/** What of the sources is watched. */
class WatchScope {
  readonly #selection: FileFilter

  constructor(
    private readonly request: JobRequest,
    private readonly options: WatchOptions,
  ) {
    this.#selection = fileFilter(request.include, request.ignore, request.defaultIgnores)
  }

  watch(): FSWatcher {
    const { pollMs } = this.options
    return watchFiles([...this.request.sources], {
      ignored: (path, stats) => this.#isIgnored(path, stats?.isFile() === true),
      ignoreInitial: true, // the first job finds what is there
      ignorePermissionErrors: true,
      followSymlinks: this.request.followLinks,
      usePolling: pollMs !== null,
      ...(pollMs !== null && { interval: pollMs, binaryInterval: pollMs }),
    })
  }

  /**
   * Of a name that is no UTF-8 an event tells only how it reads: what is called so in its folder, or the folder itself,
   * where that is gone.
   */
  async resolveRawEvent(
    name: string | null,
    { watchedPath: folder }: RawDetails,
  ): Promise<readonly string[]> {
    if (folder === undefined || !name?.includes(UNREADABLE)) return []
    const bytes = pathBytes(folder)
    const entries = await readdir(bytes, { withFileTypes: true, encoding: 'buffer' }).catch(
      () => [],
    )
    const like = entries.filter((entry) => entry.name.toString() === name)
    if (like.length === 0) return [folder]
    return like.flatMap((entry) => {
      const path = pathText(joinedPath(bytes, entry.name))
      return this.#isIgnored(path, entry.isFile()) ? [] : [path]
    })
  }

  #isIgnored(path: string, isFile: boolean): boolean {
    if (this.options.except.includes(path)) return true
    const source = this.request.sources.find((source) => isInside(source, path))
    const name = source === undefined ? '' : relative(source, path)
    return (
      name !== '' && (this.#selection.ignores(name) || (isFile && !this.#selection.takes(name)))
    )
  }
}

/** Of an event as the system gives it. */
interface RawDetails {
  readonly watchedPath?: string // a folder; none where files are polled
}

const UNREADABLE = '\ufffd'

/** A job for what is ready. What is gone, and was never known, is nobody's concern. */
async function jobOf(
  ready: Set<string>,
  request: JobRequest,
  { files, jobs }: Catalogue,
): Promise<JobId | undefined> {
  const sources: string[] = []
  for (const path of [...ready].slice(0, FILES_OF_A_JOB)) {
    ready.delete(path)
    if (!(await isMissing(path)) || (await files.clipsUnder(path, { limit: 1 })).length > 0)
      sources.push(path)
  }
  if (sources.length === 0) return undefined
  return (await jobs.create(jobRequest(await realPaths(sources), request))).job.id
}
