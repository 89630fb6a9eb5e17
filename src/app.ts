import { join } from 'node:path'
import { type Config, PACKAGE_DIR } from './config.js'
import { type Bundle, loadBundle } from './encoder/bundle.js'
import { Encoder } from './encoder/encoder.js'
import { Gallery } from './gallery/gallery.js'
import { HnswIndex } from './gallery/hnsw/hnsw-index.js'
import { SqliteCatalogue } from './gallery/sqlite/sqlite-catalogue.js'

/** Every part of Earshot, opened from its configuration. Closing it closes the parts in reverse. */
export interface App extends AsyncDisposable {
  readonly config: Config
  readonly encoder: Encoder
  readonly gallery: Gallery
}

export async function openApp(config: Config): Promise<App> {
  const opened: AsyncDisposable[] = []
  const keep = <T extends AsyncDisposable>(part: T): T => {
    opened.unshift(part)
    return part
  }
  const close = async () => {
    for (const part of opened.splice(0)) await part[Symbol.asyncDispose]()
  }
  try {
    const bundle = await loadBundle(config.bundleDir)
    const encoder = keep(await Encoder.open(bundle, config))
    const catalogue = keep(await openCatalogue(config.dataDir, bundle))
    const gallery = keep(await openGallery(config.dataDir, bundle, catalogue))
    return { config, encoder, gallery, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

function openCatalogue(dataDir: string, { fingerprint, dimension }: Bundle): Promise<SqliteCatalogue> {
  return SqliteCatalogue.open({
    file: join(dataDir, 'catalogue.sqlite'),
    migrationsDir: join(PACKAGE_DIR, 'migrations', 'sqlite'),
    stamp: { fingerprint, dimension },
  })
}

function openGallery(
  dataDir: string,
  { fingerprint, dimension }: Bundle,
  catalogue: SqliteCatalogue,
): Promise<Gallery> {
  const dir = join(dataDir, 'index')
  return Gallery.open({ catalogue, openIndex: (from) => HnswIndex.open({ dir, dimension, fingerprint, from }) })
}
