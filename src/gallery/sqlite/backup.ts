import { renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'
import { syncPath } from '../../storage/atomic-file.js'
import { readHeader, type StoredHeader } from './header.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'

/**
 * Copies a catalogue as it is at one moment. Writes a complete copy or none, even if other
 * processes write. The backup API of SQLite restarts at each write of another process; VACUUM INTO
 * reads in one transaction. Throws DISK_FULL, or DATA_UNUSABLE if the target cannot be written.
 */
export function backUpFile(catalogue: string, target: string): void {
  const partial = `${target}.partial`
  const db = new Database(catalogue, { readonly: true, fileMustExist: true })
  try {
    rmSync(partial, { force: true })
    mapSqliteErrors(() => db.prepare('VACUUM INTO ?').run(partial))
    syncPath(partial)
    renameSync(partial, target)
  } catch (cause) {
    rmSync(partial, { force: true })
    if (cause instanceof AppError || isDiskFull(cause)) throw toAppError(cause)
    throw new AppError(
      'DATA_UNUSABLE',
      `${target} cannot be written: ${(cause as Error).message}`,
      { cause },
    )
  } finally {
    db.close()
  }
}

/** Checks every page of a backup and returns its header. Throws BACKUP_INVALID. */
export function checkBackup(file: string): StoredHeader {
  const header = readHeader(file)
  if (header && isIntact(file)) return header
  throw new AppError(
    'BACKUP_INVALID',
    `${file} is no backup of a library, or it is damaged. Use another backup.`,
  )
}

function isIntact(file: string): boolean {
  const db = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return db.pragma('integrity_check', { simple: true }) === 'ok'
  } catch {
    return false
  } finally {
    db.close()
  }
}
