import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleFolder, bundleName, type Config } from '../config.js'
import { type Bundle, hasFingerprint, loadBundle } from '../encoder/bundle.js'
import { AppError } from '../errors.js'
import type { GalleryMigration } from '../gallery/catalogue/gallery-migration.js'
import {
  type Place,
  ROOT_DIR,
  readGalleries,
  writeGalleries,
} from '../gallery/registry/galleries-file.js'
import { readHeader } from '../gallery/sqlite/header.js'
import { lockFolder } from '../gallery/sqlite/lock.js'
import { SqliteGalleryMigration } from '../gallery/sqlite/sqlite-gallery-migration.js'
import { DecoderPool } from '../media/process/decoder-pool.js'
import {
  type ActiveGallery,
  catalogueFile,
  currentGallery,
  openActiveGallery,
  openCatalogue,
} from './active-gallery.js'

const FOLDER = 'galleries'

/** A gallery of another bundle on its way to take the place of the one that serves, which goes on serving until then. */
export interface Reindexing extends Pick<ActiveGallery, 'encoder' | 'gallery'>, AsyncDisposable {
  readonly decoders: DecoderPool
  readonly migration: GalleryMigration
  /** Puts it in the other's place: false where something is left to do. A server follows within seconds. */
  cutOver(): Promise<boolean>
}

/** Opens the gallery of a bundle beside the one that serves: where it was begun or has served before, with what it has. */
export async function openReindex(config: Config, bundle: string): Promise<Reindexing> {
  const from = await sourceGallery(config)
  const { place: to, made } = await targetGallery(config, bundleName(bundle))
  if (hasFingerprint(made, from.fingerprint)) {
    throw new AppError(
      'USAGE',
      `The library is of bundle ${to.bundle} already: there is nothing to change.`,
    )
  }
  const serving = await openActiveGallery(config, to, 'write')
  try {
    const files = {
      from: catalogueFile(config.dataDir, from),
      to: catalogueFile(config.dataDir, to),
    }
    const succession = await SqliteGalleryMigration.open(files)
    return {
      ...serving,
      decoders: new DecoderPool(),
      migration: succession,
      cutOver: () => cutOver(config.dataDir, from, to, succession),
      async [Symbol.asyncDispose]() {
        await succession[Symbol.asyncDispose]()
        await serving[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await serving[Symbol.asyncDispose]()
    throw error
  }
}

/** The bundle of the gallery that served before; going back to it is one more change. */
export function previousBundle({ dataDir }: Config): string {
  const bundle = readGalleries(dataDir)?.previous?.bundle
  if (bundle === undefined)
    throw new AppError('USAGE', `There is no earlier gallery in ${dataDir} to go back to.`)
  return bundle
}

/** Deletes every gallery but the one that serves, and answers their folders. DATA_LOCKED where one is still in use. */
export async function pruneGalleries(config: Config): Promise<readonly string[]> {
  const { dataDir } = config
  const serving = currentGallery(config)
  const folders = await readdir(join(dataDir, FOLDER)).catch(() => [])
  const others = [ROOT_DIR, ...folders.map((name) => join(FOLDER, name))].filter(
    (dir) => dir !== serving.dir,
  )
  const places = readGalleries(dataDir)
  const pruned: string[] = []
  for (const dir of others) {
    if (readHeader(catalogueFile(dataDir, { dir })) === undefined && dir === ROOT_DIR) continue
    await using _lock = await lockFolder(join(dataDir, dir))
    if (places) writeGalleries(dataDir, { current: places.current, next: null, previous: null })
    await removeGallery(join(dataDir, dir), dir === ROOT_DIR)
    pruned.push(dir)
  }
  return pruned
}

/** The first gallery shares its folder with the rest of the library, its lock among it. */
async function removeGallery(folder: string, isFirst: boolean): Promise<void> {
  const files = [
    'catalogue.sqlite',
    'catalogue.sqlite-wal',
    'catalogue.sqlite-shm',
    'reserve',
    'index',
  ]
  for (const path of isFirst ? files.map((name) => join(folder, name)) : [folder]) {
    await rm(path, { recursive: true, force: true })
  }
}

/** Opening the catalogue brings it to the newest schema, which both must have. */
async function sourceGallery(config: Config): Promise<Place> {
  const { dir, bundle } = currentGallery(config)
  const file = catalogueFile(config.dataDir, { dir })
  const stamp = readHeader(file)
  if (!stamp)
    throw new AppError(
      'USAGE',
      `There is no library in ${config.dataDir} yet: index something first.`,
    )
  await (await openCatalogue(file, stamp))[Symbol.asyncDispose]()
  return { dir, bundle, fingerprint: stamp.fingerprint }
}

async function targetGallery(
  { dataDir }: Config,
  bundle: string,
): Promise<{ place: Place; made: Bundle }> {
  const made = await loadBundle(bundleFolder(bundle))
  const { fingerprint } = made
  const previous = readGalleries(dataDir)?.previous
  const isPrevious = previous && hasFingerprint(made, previous.fingerprint)
  return {
    place: { dir: isPrevious ? previous.dir : unfinishedDir(dataDir, made), bundle, fingerprint },
    made,
  }
}

/** Returns the folder of a change to this bundle that an earlier run began, else the folder of a new one. */
function unfinishedDir(dataDir: string, { fingerprint, equals }: Bundle): string {
  const dirs = [fingerprint, ...equals].map((known) => join(FOLDER, known.slice(0, 16)))
  return dirs.find((dir) => existsSync(catalogueFile(dataDir, { dir }))) ?? (dirs[0] as string)
}

/** The intention is written first: whoever finds the old gallery retired, and this, brings the change to its end. */
async function cutOver(
  dataDir: string,
  from: Place,
  to: Place,
  succession: GalleryMigration,
): Promise<boolean> {
  const previous = readGalleries(dataDir)?.previous ?? null
  writeGalleries(dataDir, { current: from, next: to, previous })
  if (!(await succession.cutOver())) return false
  writeGalleries(dataDir, { current: to, next: null, previous: from })
  return true
}
