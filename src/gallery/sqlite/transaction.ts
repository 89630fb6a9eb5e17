import type { Database } from 'better-sqlite3'
import { mapSqliteErrors } from './map-sqlite-errors.js'

/**
 * Runs work in one write transaction. It begins as IMMEDIATE: one that reads first and then finds that
 * another process writes fails at once, without waiting. Throws DISK_FULL, GALLERY_RETIRED.
 */
export function writeTransaction<T>(db: Database, work: () => T): T {
  return mapSqliteErrors(() => db.transaction(work).immediate())
}

/**
 * Runs work in one write transaction that does not wait for the disk. A power cut may undo it, unless a
 * later transaction was committed since.
 */
export function unsyncedTransaction<T>(db: Database, work: () => T): T {
  db.pragma('synchronous = NORMAL')
  try {
    return writeTransaction(db, work)
  } finally {
    db.pragma('synchronous = FULL')
  }
}
