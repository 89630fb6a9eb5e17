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

// Samples and frames are off-heap buffers that count towards V8's next collection. By default V8
// then collects once per clip.
setFlagsFromString('--heap-growing-percent=900')

const LOCK_WAIT_MS = 30_000 // for the process that changes the model to close the new gallery

/**
 * A gallery, the encoder of the same fingerprint and the decoders, which one request uses to its
 * end.
 */
export type RequestContext = Pick<ActiveGallery, 'encoder' | 'gallery'> & Pick<App, 'decoders'>

/** The open parts of Earshot: gallery, encoder, decoders and sources. Disposal closes them all. */
export interface App extends AsyncDisposable {
  readonly config: Config
  /**
   * The current encoder. A change of model may replace it, so that long work uses `run`, unless the
   * process does nothing else.
   */
  readonly encoder: Encoder
  /** The current gallery. The restriction of `encoder` applies. */
  readonly gallery: Gallery
  /** Limits all decoding of this process. */
  readonly decoders: DecoderPool
  /** Real paths of folders and files that HTTP clients may read. */
  readonly servedFolders: readonly string[]
  /** Folders and files that the owner of the library indexes. `servedFolders` includes them. */
  readonly sources: SourceList
  /**
   * Runs work on the current gallery and encoder, which stay open until it ends. `replaced` aborts
   * if a change of model replaces them. Work that fails with GALLERY_RETIRED runs again on the new
   * gallery.
   */
  run<T>(work: (deps: RequestContext, replaced: AbortSignal) => Promise<T>): Promise<T>
  /** Switches to the gallery and encoder of a change of model, if there is one. */
  refresh(): Promise<void>
}

/**
 * Opens the app. Throws DATA_LOCKED if access is `write` and another process writes to the library.
 * Creates the first gallery if the library has none.
 */
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

  const switchGallery = async () => {
    const serves = await currentOrFirst(config)
    if (serves.id === active.current.id) return
    active.replace(await openActiveGallery(config, serves, access, LOCK_WAIT_MS))
  }
  const refresh = () => {
    refreshing ??= switchGallery().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }
  const run: App['run'] = async (work) => {
    const before = active.current
    const onActive = ({ encoder, gallery }: ActiveGallery, replaced: AbortSignal) =>
      work({ encoder, gallery, decoders }, replaced)
    try {
      return await active.run(onActive)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'GALLERY_RETIRED') throw error
      await refresh()
      if (active.current === before) throw error
      return await active.run(onActive)
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
 * Returns the library's list of sources. A library of an earlier version has no list. Its list then
 * has the sources of jobs from the command line, which have no `within`.
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
