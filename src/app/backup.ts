import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bundleFolder, type Config } from '../config.js'
import { hasFingerprint, loadBundle } from '../encoder/bundle.js'
import { AppError, isDiskFull, toAppError } from '../errors.js'
import { readGalleries, writeGalleries } from '../gallery/registry/galleries-file.js'
import { backUpFile, checkBackup } from '../gallery/sqlite/backup.js'
import { lockFolder } from '../gallery/sqlite/lock.js'
import { markRestored } from '../storage/restore-mark.js'
import { SourceList } from '../storage/source-list.js'
import { catalogueFile, currentGallery } from './active-gallery.js'
import { pruneGalleries } from './open-reindex.js'

/** Writes the whole catalogue as it is at one moment into a file of its own, while others go on using it. */
export async function backUp(config: Config, target: string): Promise<void> {
  if (existsSync(target))
    throw new AppError('USAGE', `${target} exists already: say another name for the backup.`)
  const file = catalogueFile(config.dataDir, currentGallery(config))
  if (!existsSync(file))
    throw new AppError('USAGE', `There is no library in ${config.dataDir} yet.`)
  backUpFile(file, target)
}

/**
 * Makes a backup the library of the data folder: whole or not at all. The index is rebuilt from it. BACKUP_INVALID,
 * FINGERPRINT_MISMATCH, DATA_NOT_EMPTY, DATA_LOCKED.
 */
export async function restore(
  config: Config,
  backup: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  const { dataDir, bundle } = config
  const { fingerprint } = checkBackup(backup)
  await checkBundle(config, fingerprint)
  const serving = currentGallery(config)
  if (!force && (readGalleries(dataDir) || existsSync(catalogueFile(dataDir, serving)))) {
    throw new AppError(
      'DATA_NOT_EMPTY',
      `${dataDir} holds a library: restore into another folder, or with --force.`,
    )
  }
  {
    await using _lock = await lockFolder(join(dataDir, serving.dir))
    const dir = join('galleries', `${fingerprint.slice(0, 16)}-${randomBytes(3).toString('hex')}`)
    await copyWhole(backup, catalogueFile(dataDir, { dir }))
    if (!SourceList.open(dataDir)) SourceList.of(dataDir, []).save()
    await markRestored(join(dataDir, 'media'))
    writeGalleries(dataDir, { current: { dir, bundle, fingerprint }, next: null, previous: null })
  }
  await pruneGalleries(config)
}

async function checkBundle({ bundle }: Config, fingerprint: string): Promise<void> {
  const found = await loadBundle(bundleFolder(bundle))
  if (hasFingerprint(found, fingerprint)) return
  throw new AppError(
    'FINGERPRINT_MISMATCH',
    `The backup is of bundle ${fingerprint.slice(0, 12)}, ${bundle} is ${found.fingerprint.slice(0, 12)}: say with EARSHOT_BUNDLE which it was made with.`,
  )
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
