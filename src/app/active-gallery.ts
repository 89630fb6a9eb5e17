import { join } from 'node:path'
import { bundleFolder, type Config, PACKAGE_DIR } from '../config.js'
import { type Bundle, loadBundle } from '../encoder/bundle.js'
import { Encoder } from '../encoder/encoder.js'
import type { CatalogueHeader } from '../gallery/catalogue/catalogue.js'
import { Gallery } from '../gallery/gallery.js'
import { HnswIndex } from '../gallery/hnsw/hnsw-index.js'
import type { GalleryRef } from '../gallery/registry/gallery-registry.js'
import { FileGalleryRegistry, type GalleryFiles } from '../gallery/sqlite/file-gallery-registry.js'
import { lockFolder } from '../gallery/sqlite/lock.js'
import { SqliteCatalogue } from '../gallery/sqlite/sqlite-catalogue.js'

/** An open gallery and the open encoder of its bundle. */
export interface ActiveGallery extends AsyncDisposable {
  readonly id: string // of the gallery
  readonly encoder: Encoder
  readonly gallery: Gallery
}

/** Access to a gallery: one process may write to it while others read. */
export type Access = 'write' | 'read'

/** Returns the gallery registry of the data folder. */
export const registryOf = ({ library }: Config): FileGalleryRegistry =>
  new FileGalleryRegistry(library.dataDir, library.bundle)

/** Returns the current gallery, or creates the first one if the library has none. */
export async function currentOrFirst(config: Config): Promise<GalleryRef> {
  const registry = registryOf(config)
  const first = { bundle: config.library.bundle, fingerprints: [] }
  return (await registry.current()) ?? (await registry.create(first))
}

/**
 * Opens a gallery with its encoder. Disposal closes them in reverse order. A writer waits `waitMs`
 * for the lock. Throws DATA_LOCKED, BUNDLE_INVALID, FINGERPRINT_MISMATCH, DATA_UNUSABLE.
 */
export async function openActiveGallery(
  config: Config,
  ref: Pick<GalleryRef, 'id' | 'bundle'>,
  access: Access,
  waitMs = 0,
): Promise<ActiveGallery> {
  const opened: AsyncDisposable[] = []
  const keep = <T extends AsyncDisposable>(part: T): T => {
    opened.unshift(part)
    return part
  }
  const close = async () => {
    for (const part of opened.splice(0)) await part[Symbol.asyncDispose]()
  }
  try {
    const bundle = await loadBundle(bundleFolder(ref.bundle))
    const encoder = keep(await Encoder.open(bundle, config.encoder))
    const files = registryOf(config).filesOf(ref)
    if (access === 'write') keep(await lockFolder(files.dir, { waitMs }))
    const catalogue = keep(await openCatalogue(files.catalogue, bundle))
    const gallery = keep(await openGallery(files, bundle, catalogue))
    return { id: ref.id, encoder, gallery, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens the catalogue in a file. Creates it if the file does not exist. */
export function openCatalogue(
  file: string,
  { fingerprint, dimension, equals = [] }: CatalogueHeader,
): Promise<SqliteCatalogue> {
  const migrationsDir = join(PACKAGE_DIR, 'migrations', 'sqlite')
  return SqliteCatalogue.open({ file, migrationsDir, header: { fingerprint, dimension, equals } })
}

function openGallery(
  { index: dir }: GalleryFiles,
  { fingerprint, equals, dimension }: Bundle,
  catalogue: SqliteCatalogue,
): Promise<Gallery> {
  const options = { dir, dimension, fingerprint, equals, log: catalogue.log }
  return Gallery.open({ catalogue, openIndex: (from) => HnswIndex.open({ ...options, from }) })
}
