import { join } from 'node:path'
import { bundleFolder, type Config, PACKAGE_DIR } from '../config.js'
import { type Bundle, loadBundle } from '../encoder/bundle.js'
import { Encoder } from '../encoder/encoder.js'
import type { CatalogueHeader } from '../gallery/catalogue/catalogue.js'
import { Gallery } from '../gallery/gallery.js'
import { HnswIndex } from '../gallery/hnsw/hnsw-index.js'
import {
  type Place,
  ROOT_DIR,
  readGalleries,
  writeGalleries,
} from '../gallery/registry/galleries-file.js'
import { readHeader } from '../gallery/sqlite/header.js'
import { lockFolder } from '../gallery/sqlite/lock.js'
import { SqliteCatalogue } from '../gallery/sqlite/sqlite-catalogue.js'

/** What answers: the gallery of a place, and the encoder of the bundle that it was made with. */
export interface ActiveGallery extends AsyncDisposable {
  readonly dir: string // of the gallery, in the data folder
  readonly encoder: Encoder
  readonly gallery: Gallery
}

/** One process at a time may write to a gallery; others may read beside it. */
export type Access = 'write' | 'read'

export const catalogueFile = (dataDir: string, { dir }: Pick<Place, 'dir'>): string =>
  join(dataDir, dir, 'catalogue.sqlite')

/** The place that serves. A change of places that a kill has interrupted after the old one retired is brought to its end. */
export function currentGallery({ dataDir, bundle }: Config): Omit<Place, 'fingerprint'> {
  const places = readGalleries(dataDir)
  if (!places) return { dir: ROOT_DIR, bundle }
  const { current, next } = places
  if (!next || readHeader(catalogueFile(dataDir, current))?.successor !== next.fingerprint)
    return current
  writeGalleries(dataDir, { current: next, next: null, previous: current })
  return next
}

/** Opens every part of what serves at a place; closing it closes them in reverse. */
export async function openActiveGallery(
  config: Config,
  { dir, bundle: name }: Pick<Place, 'dir' | 'bundle'>,
  access: Access,
  waitMs = 0, // for the lock of one that writes
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
    const bundle = await loadBundle(bundleFolder(name))
    const encoder = keep(await Encoder.open(bundle, config))
    if (access === 'write') keep(await lockFolder(join(config.dataDir, dir), { waitMs }))
    const catalogue = keep(await openCatalogue(catalogueFile(config.dataDir, { dir }), bundle))
    const gallery = keep(await openGallery(join(config.dataDir, dir, 'index'), bundle, catalogue))
    return { dir, encoder, gallery, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens a catalogue of a stamp. */
export function openCatalogue(
  file: string,
  { fingerprint, dimension, equals = [] }: CatalogueHeader,
): Promise<SqliteCatalogue> {
  const migrationsDir = join(PACKAGE_DIR, 'migrations', 'sqlite')
  return SqliteCatalogue.open({ file, migrationsDir, header: { fingerprint, dimension, equals } })
}

function openGallery(
  dir: string,
  { fingerprint, equals, dimension }: Bundle,
  catalogue: SqliteCatalogue,
): Promise<Gallery> {
  const options = { dir, dimension, fingerprint, equals, log: catalogue.log }
  return Gallery.open({ catalogue, openIndex: (from) => HnswIndex.open({ ...options, from }) })
}
