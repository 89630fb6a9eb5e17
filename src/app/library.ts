import { bundleFolder, type Config } from '../config.js'
import { loadBundle } from '../encoder/bundle.js'
import { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import type { Catalogue } from '../gallery/catalogue/catalogue.js'
import type { GalleryRef } from '../gallery/registry/gallery-registry.js'
import { currentOrFirst, openCatalogue, registryOf } from './active-gallery.js'

/** Returns true if the data folder has a library. */
export async function hasLibrary(config: Config): Promise<boolean> {
  return (await registryOf(config).current()) !== undefined
}

/**
 * Returns the current gallery. Throws LIBRARY_MISSING if there is none: a command that only reads
 * must not create a library in a mistyped folder.
 */
export async function requireLibrary(config: Config): Promise<GalleryRef> {
  const current = await registryOf(config).current()
  if (current) return current
  const detail =
    `There is no library in ${config.library.dataDir}: ` +
    'check --data and EARSHOT_DATA, or index something first.'
  throw new AppError('LIBRARY_MISSING', detail)
}

/** Opens the current catalogue without a lock. Throws LIBRARY_MISSING. */
export async function openLibrary(config: Config): Promise<Catalogue> {
  const current = await requireLibrary(config)
  return await openWithBundle(registryOf(config).filesOf(current).catalogue, current)
}

/** Opens the current catalogue, or an empty one in memory if there is no library. */
export async function openLibraryOrEmpty(config: Config): Promise<Catalogue> {
  if (await hasLibrary(config)) return await openLibrary(config)
  return await openWithBundle(':memory:', await currentOrFirst(config))
}

/** Opens the encoder of the library's bundle, or of the configured one if there is no library. */
export async function openEncoder(config: Config): Promise<Encoder> {
  const { bundle } = config.library.isBundleGiven ? config.library : await currentOrFirst(config)
  return await Encoder.open(await loadBundle(bundleFolder(bundle)), config.encoder)
}

const openWithBundle = async (file: string, { bundle }: GalleryRef): Promise<Catalogue> =>
  await openCatalogue(file, await loadBundle(bundleFolder(bundle)))
