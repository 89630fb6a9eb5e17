import { setFlagsFromString } from 'node:v8'
import {
  type Access,
  type ActiveGallery,
  currentOrFirst,
  openActiveGallery,
} from './app/active-gallery.js'
import { HotSwap } from './concurrency/hot-swap.js'
import type { Config } from './config.js'
import type { Encoder } from './encoder/encoder.js'
import { AppError } from './errors.js'
import type { Gallery } from './gallery/gallery.js'
import { DecoderPool } from './media/process/decoder-pool.js'
import { dataLayout } from './storage/data-layout.js'
import { realPaths } from './storage/path-within.js'
import { SourceList } from './storage/source-list.js'

// Samples and frames lie beside V8's heap and count towards its next collection: by default that is one for every clip.
setFlagsFromString('--heap-growing-percent=900')

const LOCK_WAIT_MS = 30_000 // until the process that made a change of model has closed what it made

/** What a piece of work uses from its beginning to its end: a gallery, and the encoder of the same fingerprint. */
export type RequestContext = Pick<ActiveGallery, 'encoder' | 'gallery'> & Pick<App, 'decoders'>

/** Every part of Earshot, opened from its configuration. Closing it closes the deps in reverse. */
export interface App extends AsyncDisposable {
  readonly config: Config
  /** What serves now, and may be replaced by a change of model: for work that is short, or is all that the process does. */
  readonly encoder: Encoder
  readonly gallery: Gallery
  /** Shared by everything in this process that decodes. */
  readonly decoders: DecoderPool
  /** Folders and files, by real path, whose files HTTP clients may be given. */
  readonly servedFolders: readonly string[]
  /** Folders and files that the owner of the library indexes here: they are served from now on. */
  readonly sources: SourceList
  /**
   * Runs work on what serves now, which stays open until it is done. `replaced` aborts when another takes its place. What
   * the change keeps from being written is run again on what then serves.
   */
  run<T>(work: (deps: RequestContext, replaced: AbortSignal) => Promise<T>): Promise<T>
  /** Serves what was put in the gallery's place by a change of model, if anything was. */
  refresh(): Promise<void>
}

/** DATA_LOCKED where another process writes; one that only reads is let in beside it. */
export async function openApp(config: Config, access: Access = 'write'): Promise<App> {
  const { id, bundle } = await currentOrFirst(config)
  const wanted = { id, bundle: config.library.isBundleGiven ? config.library.bundle : bundle }
  const serving = await openActiveGallery(config, wanted, access)
  const active = new HotSwap(serving)
  const decoders = new DecoderPool()
  const sources = await openSources(config, serving.gallery)
  const { library, ingest } = config
  const { roots, watch } = ingest
  const configured = await realPaths([dataLayout(library.dataDir).media, ...roots, ...watch])
  let refreshing: Promise<void> | undefined

  const change = async () => {
    const serves = await currentOrFirst(config)
    if (serves.id === active.current.id) return
    active.replace(await openActiveGallery(config, serves, access, LOCK_WAIT_MS))
  }
  const refresh = () => {
    refreshing ??= change().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }
  const run: App['run'] = async (work) => {
    const before = active.current
    const onParts = ({ encoder, gallery }: ActiveGallery, replaced: AbortSignal) =>
      work({ encoder, gallery, decoders }, replaced)
    try {
      return await active.run(onParts)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'GALLERY_RETIRED') throw error
      await refresh()
      if (active.current === before) throw error
      return await active.run(onParts)
    }
  }
  return {
    config,
    decoders,
    sources,
    get servedFolders() {
      return [...configured, ...sources.paths]
    },
    get encoder() {
      return active.current.encoder
    },
    get gallery() {
      return active.current.gallery
    },
    run,
    refresh,
    async [Symbol.asyncDispose]() {
      await refreshing?.catch(() => {})
      await active[Symbol.asyncDispose]()
    },
  }
}

/**
 * The library's list of sources. A library from before there was one gets those of its jobs that were
 * made on the command line.
 */
async function openSources(
  { library: { dataDir } }: Config,
  { catalogue }: Gallery,
): Promise<SourceList> {
  const known = SourceList.open(dataDir)
  if (known) return known
  const sources = new Set<string>()
  for (let before: number | undefined; ; ) {
    const jobs = await catalogue.jobs.jobs({ before, limit: JOBS_PAGE })
    for (const job of jobs.filter(({ within }) => within.length === 0)) {
      for (const path of job.sources) sources.add(path)
    }
    before = jobs.at(-1)?.id
    if (jobs.length < JOBS_PAGE) return SourceList.of(dataDir, await realPaths([...sources]))
  }
}

const JOBS_PAGE = 500
