import { existsSync } from 'node:fs'
import { bundleFolder, type Config } from '../config.js'
import { loadBundle } from '../encoder/bundle.js'
import { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import type { Catalogue } from '../gallery/catalogue/catalogue.js'
import { catalogueFile, currentGallery, openCatalogue } from './active-gallery.js'

/** Whether there is a library in the data folder. */
export function hasLibrary(config: Config): boolean {
  return existsSync(catalogueFile(config.dataDir, currentGallery(config)))
}

/** Throws LIBRARY_MISSING, for what only reads: a folder that was mistyped must not become a library. */
export function requireLibrary(config: Config): void {
  if (hasLibrary(config)) return
  const detail = `There is no library in ${config.dataDir}: check --data and EARSHOT_DATA, or index something first.`
  throw new AppError('LIBRARY_MISSING', detail)
}

/** The catalogue that serves, alone and without a lock. Throws LIBRARY_MISSING. */
export async function openLibrary(config: Config): Promise<Catalogue> {
  requireLibrary(config)
  return await openCatalogueOf(config, catalogueFile(config.dataDir, currentGallery(config)))
}

/** The catalogue that serves, or an empty one in memory if there is none. */
export async function openLibraryOrEmpty(config: Config): Promise<Catalogue> {
  return hasLibrary(config) ? await openLibrary(config) : await openCatalogueOf(config, ':memory:')
}

/** The encoder of the library's bundle, or of the configured one if there is no library. */
export async function openEncoder(config: Config): Promise<Encoder> {
  const { bundle } = config.isBundleGiven ? config : currentGallery(config)
  return await Encoder.open(await loadBundle(bundleFolder(bundle)), config)
}

async function openCatalogueOf(config: Config, file: string): Promise<Catalogue> {
  const { bundle } = currentGallery(config)
  return await openCatalogue(file, await loadBundle(bundleFolder(bundle)))
}
