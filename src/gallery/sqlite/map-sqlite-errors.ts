import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'

/** Runs database work. Maps errors of SQLite that a user can act on: DISK_FULL, GALLERY_RETIRED. */
export function mapSqliteErrors<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw toAppErrorIfKnown(error)
  }
}

function toAppErrorIfKnown(cause: unknown): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause
  if (isDiskFull(cause)) return toAppError(cause)
  if (cause.message === 'GALLERY_RETIRED') {
    const detail =
      'The library has changed to another bundle, and Earshot did not write this change. ' +
      'Restart the command.'
    return new AppError('GALLERY_RETIRED', detail, { cause })
  }
  return cause
}
