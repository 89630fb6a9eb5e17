import { readdir } from 'node:fs/promises'
import { relative } from 'node:path'
import { type FSWatcher, watch as watchFiles } from 'chokidar'
import { Notifier } from '../../concurrency/notifier.js'
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

const POLL_MS = 500 // interval of stability checks while files change
const IDLE_MS = 5_000 // interval of checks for a due scan and for jobs that other processes end
const FILES_PER_JOB = 1000

/** Default time for which a file must not change before it is indexed. */
export const SETTLE_SECONDS = 5
/** Default time between full scans. */
export const RESCAN_MINUTES = 60

/** Options of `watch`. */
export interface WatchOptions {
  readonly settleMs: number // time without a change after which a file is stable
  readonly rescanMs: number // between full scans, which find changes without an event
  readonly pollMs: number | null // polls each file, for network mounts without events
  readonly except: readonly string[]
  readonly onWarning: (detail: string) => void
}

/**
 * Keeps the library in step with its sources until the signal aborts. Creates jobs for changed
 * files once they are stable, one job at a time, and a full scan at intervals. A job runner must
 * run the jobs.
 */
export async function watch(
  request: JobRequest,
  { catalogue, signal }: { readonly catalogue: Catalogue; readonly signal: AbortSignal },
  options: WatchOptions,
): Promise<void> {
  const { jobs } = catalogue
  const activity = new Notifier()
  using _subscription = jobs.stateChanges.subscribe(() => activity.notify())
  const stability = new WriteStability(options.settleMs)
  const onChange = (path: string) => {
    stability.touch(path)
    activity.notify()
  }
  const watcher = openWatcher(new WatchScope(request, options), options, onChange)
  const stable = new Set<string>()
  try {
    let job: JobId | undefined
    for (let scannedMs = Number.NEGATIVE_INFINITY; !signal.aborted; ) {
      const { count } = activity
      for (const path of await stability.takeStable()) stable.add(path)
      if (job === undefined || hasEnded((await jobs.progress(job)).state)) {
        const isDue = performance.now() - scannedMs >= options.rescanMs
        if (isDue) scannedMs = performance.now()
        job = isDue
          ? (await resumeOrCreateJob(request, catalogue)).id
          : await jobOf(stable, request, catalogue)
      }
      await activity.wait(count, stability.isEmpty ? IDLE_MS : POLL_MS, signal)
    }
  } finally {
    await watcher.close()
  }
}

function openWatcher(
  scope: WatchScope,
  { onWarning }: WatchOptions,
  onChange: (path: string) => void,
): FSWatcher {
  const watcher = scope.watch().on('all', (_, path) => onChange(path))
  watcher.on('raw', async (_, name, details) => {
    const paths = await scope.resolveRawEvent(name, details as RawDetails)
    for (const path of paths) onChange(path)
  })
  return watcher.on('error', (error) =>
    onWarning(`Some changes cannot be watched. The next scan finds them: ${String(error)}`),
  )
}

/** Selects the watched files of the sources. */
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
      ignoreInitial: true, // the first job finds existing files
      ignorePermissionErrors: true,
      followSymlinks: this.request.followLinks,
      usePolling: pollMs !== null,
      ...(pollMs !== null && { interval: pollMs, binaryInterval: pollMs }),
    })
  }

  /**
   * For non-UTF-8 names the event carries a lossy string. Returns every entry of the folder that
   * decodes to it, or the folder if none does.
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

/** Details of a raw event of chokidar. */
interface RawDetails {
  readonly watchedPath?: string // the folder; undefined if files are polled
}

/** The replacement character of a lossy string. */
const UNREADABLE = '\ufffd'

/** Creates a job for stable paths. Ignores a deleted path without clips. */
async function jobOf(
  stable: Set<string>,
  request: JobRequest,
  { files, jobs }: Catalogue,
): Promise<JobId | undefined> {
  const sources: string[] = []
  for (const path of [...stable].slice(0, FILES_PER_JOB)) {
    stable.delete(path)
    if (!(await isMissing(path)) || (await files.clipsUnder(path, { limit: 1 })).length > 0)
      sources.push(path)
  }
  if (sources.length === 0) return undefined
  return (await jobs.create(jobRequest(await realPaths(sources), request))).job.id
}
