import { bundleFolder, bundleName, type Config } from '../config.js'
import { hasFingerprint, loadBundle } from '../encoder/bundle.js'
import { AppError } from '../errors.js'
import type { GalleryMigration } from '../gallery/catalogue/gallery-migration.js'
import type { GalleryRef } from '../gallery/registry/gallery-registry.js'
import { readHeader } from '../gallery/sqlite/header.js'
import { SqliteGalleryMigration } from '../gallery/sqlite/sqlite-gallery-migration.js'
import { DecoderPool } from '../media/process/decoder-pool.js'
import {
  type ActiveGallery,
  openActiveGallery,
  openCatalogue,
  registryOf,
} from './active-gallery.js'

/** The new gallery of another bundle, which a reindex fills while the current gallery serves. */
export interface Reindexing extends Pick<ActiveGallery, 'encoder' | 'gallery'>, AsyncDisposable {
  readonly decoders: DecoderPool
  readonly migration: GalleryMigration
  /**
   * Makes the new gallery current. Returns false if clips are pending. A server follows in seconds.
   */
  cutOver(): Promise<boolean>
}

/**
 * Opens the new gallery of a bundle, with the clips that an earlier run encoded. Throws USAGE if
 * there is no library or if it already has this bundle. Throws DATA_LOCKED, BUNDLE_INVALID.
 */
export async function openReindex(config: Config, bundle: string): Promise<Reindexing> {
  const registry = registryOf(config)
  const from = await sourceGallery(config)
  const target = await loadBundle(bundleFolder(bundleName(bundle)))
  if (hasFingerprint(target, from.fingerprint)) {
    const detail = `The library already has bundle ${bundle}: there is nothing to reindex.`
    throw new AppError('USAGE', detail)
  }
  const fingerprints = [target.fingerprint, ...target.equals]
  const to = await registry.create({ bundle: bundleName(bundle), fingerprints })
  const active = await openActiveGallery(config, to, 'write')
  try {
    const files = { from: registry.filesOf(from).catalogue, to: registry.filesOf(to).catalogue }
    const migration = await SqliteGalleryMigration.open(files)
    return {
      ...active,
      decoders: new DecoderPool(),
      migration,
      cutOver: () => registry.cutOver(from, to, () => migration.cutOver()),
      async [Symbol.asyncDispose]() {
        await migration[Symbol.asyncDispose]()
        await active[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await active[Symbol.asyncDispose]()
    throw error
  }
}

/** Returns the bundle of the previous gallery. Throws USAGE if there is none. */
export async function previousBundle(config: Config): Promise<string> {
  const previous = await registryOf(config).previous()
  if (previous) return previous.bundle
  const detail = `There is no previous gallery in ${config.library.dataDir} to return to.`
  throw new AppError('USAGE', detail)
}

/**
 * Deletes all galleries but the current one. Returns their ids. Throws DATA_LOCKED if one is in
 * use.
 */
export async function pruneGalleries(config: Config): Promise<readonly string[]> {
  const registry = registryOf(config)
  const others = await registry.others()
  for (const gallery of others) await registry.remove(gallery)
  return others.map(({ id }) => id)
}

/** Returns the current gallery and migrates it to the newest schema, as both galleries need it. */
async function sourceGallery(config: Config): Promise<GalleryRef & { fingerprint: string }> {
  const registry = registryOf(config)
  const current = await registry.current()
  const file = current && registry.filesOf(current).catalogue
  const header = file && readHeader(file)
  if (!current || !header) {
    const detail = `There is no library in ${config.library.dataDir}: index something first.`
    throw new AppError('USAGE', detail)
  }
  await (await openCatalogue(file, header))[Symbol.asyncDispose]()
  return { ...current, fingerprint: header.fingerprint }
}
