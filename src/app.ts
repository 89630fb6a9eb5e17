import { setFlagsFromString } from 'node:v8'
import { type Access, currentPlace, openServing, type Serving } from './app/serving.js'
import { Turnover } from './app/turnover.js'
import type { Config } from './config.js'
import type { Encoder } from './encoder/encoder.js'
import { AppError } from './errors.js'
import type { Gallery } from './gallery/gallery.js'

// Samples and frames lie beside V8's heap and count towards its next collection: by default that is one for every clip.
setFlagsFromString('--heap-growing-percent=900')

const LOCK_WAIT_MS = 30_000 // until the process that made a change of model has closed what it made

/** What a piece of work uses from its beginning to its end: a gallery, and the encoder of the same fingerprint. */
export type ServingParts = Pick<Serving, 'encoder' | 'gallery'>

/** Every part of Earshot, opened from its configuration. Closing it closes the parts in reverse. */
export interface App extends AsyncDisposable {
  readonly config: Config
  /** What serves now, and may be replaced by a change of model: for work that is short, or is all that the process does. */
  readonly encoder: Encoder
  readonly gallery: Gallery
  /**
   * Runs work on what serves now, which stays open until it is done. `replaced` aborts when another takes its place. What
   * the change keeps from being written is run again on what then serves.
   */
  run<T>(work: (parts: ServingParts, replaced: AbortSignal) => Promise<T>): Promise<T>
  /** Serves what was put in the gallery's place by a change of model, if anything was. */
  refresh(): Promise<void>
}

/** DATA_LOCKED where another process writes; one that only reads is let in beside it. */
export async function openApp(config: Config, access: Access = 'write'): Promise<App> {
  const { dir, bundle } = currentPlace(config)
  const serving = await openServing(config, { dir, bundle: config.isBundleGiven ? config.bundle : bundle }, access)
  const turnover = new Turnover(serving)
  let refreshing: Promise<void> | undefined

  const change = async () => {
    const place = currentPlace(config)
    if (place.dir !== turnover.current.dir) turnover.change(await openServing(config, place, access, LOCK_WAIT_MS))
  }
  const refresh = () => {
    refreshing ??= change().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }
  const run: App['run'] = async (work) => {
    const before = turnover.current
    try {
      return await turnover.run(work)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'GALLERY_RETIRED') throw error
      await refresh()
      if (turnover.current === before) throw error
      return await turnover.run(work)
    }
  }
  return {
    config,
    get encoder() {
      return turnover.current.encoder
    },
    get gallery() {
      return turnover.current.gallery
    },
    run,
    refresh,
    async [Symbol.asyncDispose]() {
      await refreshing?.catch(() => {})
      await turnover[Symbol.asyncDispose]()
    },
  }
}
