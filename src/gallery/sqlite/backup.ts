import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'
import { readHeader, type StoredHeader } from './header.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'

/**
 * A copy of a catalogue as it is at one moment, however many write to it: whole or not at all. SQLite's own backup begins
 * anew at every write of another process; VACUUM INTO reads in one transaction.
 */
export function backUpFile(catalogue: string, target: string): void {
  const partial = `${target}.partial`
  const db = new Database(catalogue, { readonly: true, fileMustExist: true })
  try {
    rmSync(partial, { force: true })
    mapSqliteErrors(() => db.prepare('VACUUM INTO ?').run(partial))
    sync(partial)
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

/** What a backup is stamped with, after a look at every page of it. BACKUP_INVALID. */
export function checkBackup(file: string): StoredHeader {
  const stamp = readHeader(file)
  if (stamp && isSound(file)) return stamp
  throw new AppError(
    'BACKUP_INVALID',
    `${file} is no backup of a library, or it is damaged: take another.`,
  )
}

function isSound(file: string): boolean {
  const db = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return db.pragma('integrity_check', { simple: true }) === 'ok'
  } catch {
    return false
  } finally {
    db.close()
  }
}

function sync(file: string): void {
  const handle = openSync(file, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
