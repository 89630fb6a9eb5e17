import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { bundleFolder, type Config } from '../config.js'
import { hasFingerprint, loadBundle } from '../encoder/bundle.js'
import { AppError, isDiskFull, toAppError } from '../errors.js'
import { backUpFile, checkBackup } from '../gallery/sqlite/backup.js'
import { lockFolder } from '../gallery/sqlite/lock.js'
import { dataLayout } from '../storage/data-layout.js'
import { markRestored } from '../storage/restore-mark.js'
import { SourceList } from '../storage/source-list.js'
import { currentOrFirst, registryOf } from './active-gallery.js'
import { pruneGalleries } from './open-reindex.js'

/**
 * Writes a snapshot of the catalogue to a new file. Other processes may use the catalogue
 * meanwhile. Throws USAGE if the file exists or there is no library.
 */
export async function backUp(config: Config, target: string): Promise<void> {
  if (existsSync(target)) {
    throw new AppError('USAGE', `${target} already exists: use another name for the backup.`)
  }
  const registry = registryOf(config)
  const current = await registry.current()
  if (!current) throw new AppError('USAGE', `There is no library in ${config.library.dataDir}.`)
  backUpFile(registry.filesOf(current).catalogue, target)
}

/**
 * Makes a backup the library of the data folder, atomically. The next process rebuilds the index.
 * Throws BACKUP_INVALID, FINGERPRINT_MISMATCH, DATA_NOT_EMPTY, DATA_LOCKED.
 */
export async function restore(
  config: Config,
  backup: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  const { dataDir, bundle } = config.library
  const { fingerprint } = checkBackup(backup)
  await checkBundle(config, fingerprint)
  const registry = registryOf(config)
  if (!force && (await registry.current())) {
    const detail = `${dataDir} has a library: restore into another folder, or use --force.`
    throw new AppError('DATA_NOT_EMPTY', detail)
  }
  const layout = dataLayout(dataDir)
  {
    await using _lock = await lockFolder(registry.filesOf(await currentOrFirst(config)).dir)
    const name = `${fingerprint.slice(0, 16)}-${randomBytes(3).toString('hex')}`
    const restored = { id: join(basename(layout.galleries), name), bundle, fingerprint }
    await copyWhole(backup, registry.filesOf(restored).catalogue)
    if (!SourceList.open(dataDir)) SourceList.of(dataDir, []).save()
    await markRestored(layout.media)
    await registry.replace(restored)
  }
  await pruneGalleries(config)
}

async function checkBundle({ library: { bundle } }: Config, fingerprint: string): Promise<void> {
  const found = await loadBundle(bundleFolder(bundle))
  if (hasFingerprint(found, fingerprint)) return
  const detail =
    `The backup has bundle ${fingerprint.slice(0, 12)}, ` +
    `${bundle} is ${found.fingerprint.slice(0, 12)}: ` +
    'set EARSHOT_BUNDLE to the bundle of the backup.'
  throw new AppError('FINGERPRINT_MISMATCH', detail)
}

async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await copyFile(from, to)
  } catch (cause) {
    await rm(dirname(to), { recursive: true, force: true })
    if (isDiskFull(cause)) throw toAppError(cause)
    throw new AppError('DATA_UNUSABLE', `${to} cannot be written: ${String(cause)}`, { cause })
  }
}
