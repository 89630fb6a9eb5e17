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

/** A gallery of another bundle that is being filled while the current one serves. */
export interface Reindexing extends Pick<ActiveGallery, 'encoder' | 'gallery'>, AsyncDisposable {
  readonly decoders: DecoderPool
  readonly migration: GalleryMigration
  /** Makes it serve. Returns false if clips are pending. A server follows within seconds. */
  cutOver(): Promise<boolean>
}

/**
 * Opens the gallery of a bundle next to the one that serves, with what an earlier run put into it.
 * Throws USAGE if the library is of this bundle already, LIBRARY_MISSING, DATA_LOCKED, BUNDLE_INVALID.
 */
export async function openReindex(config: Config, bundle: string): Promise<Reindexing> {
  const registry = registryOf(config)
  const from = await sourceGallery(config)
  const made = await loadBundle(bundleFolder(bundleName(bundle)))
  if (hasFingerprint(made, from.fingerprint)) {
    const detail = `The library is of bundle ${bundle} already: there is nothing to change.`
    throw new AppError('USAGE', detail)
  }
  const fingerprints = [made.fingerprint, ...made.equals]
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

/** The bundle of the gallery that served before. Throws USAGE if there is none. */
export async function previousBundle(config: Config): Promise<string> {
  const previous = await registryOf(config).previous()
  if (previous) return previous.bundle
  const detail = `There is no earlier gallery in ${config.library.dataDir} to go back to.`
  throw new AppError('USAGE', detail)
}

/** Deletes every gallery that does not serve. Returns their ids. Throws DATA_LOCKED if one is in use. */
export async function pruneGalleries(config: Config): Promise<readonly string[]> {
  const registry = registryOf(config)
  const others = await registry.others()
  for (const gallery of others) await registry.remove(gallery)
  return others.map(({ id }) => id)
}

/** The gallery that serves, brought to the newest schema, which both galleries must have. */
async function sourceGallery(config: Config): Promise<GalleryRef & { fingerprint: string }> {
  const registry = registryOf(config)
  const current = await registry.current()
  const file = current && registry.filesOf(current).catalogue
  const header = file && readHeader(file)
  if (!current || !header) {
    const detail = `There is no library in ${config.library.dataDir} yet: index something first.`
    throw new AppError('USAGE', detail)
  }
  await (await openCatalogue(file, header))[Symbol.asyncDispose]()
  return { ...current, fingerprint: header.fingerprint }
}
