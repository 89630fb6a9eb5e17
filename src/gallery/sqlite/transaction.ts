import type { Database } from 'better-sqlite3'
import { mapSqliteErrors } from './map-sqlite-errors.js'

/**
 * Runs work in one write transaction, with BEGIN IMMEDIATE. A transaction that first reads and then
 * writes would fail immediately if another process writes. Throws DISK_FULL or GALLERY_RETIRED.
 */
export function writeTransaction<T>(db: Database, work: () => T): T {
  return mapSqliteErrors(() => db.transaction(work).immediate())
}

/**
 * Runs work in one write transaction that does not wait for the disk. A power cut can revert it,
 * unless a later transaction was committed. Throws DISK_FULL or GALLERY_RETIRED.
 */
export function unsyncedTransaction<T>(db: Database, work: () => T): T {
  db.pragma('synchronous = NORMAL')
  try {
    return writeTransaction(db, work)
  } finally {
    db.pragma('synchronous = FULL')
  }
}
