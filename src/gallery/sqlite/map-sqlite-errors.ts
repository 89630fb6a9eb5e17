import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'

/** Runs what touches the database; what SQLite refuses for a reason that a user can act on gets our code. */
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
      'The library has changed to another bundle in the meantime, and this was not written. Start it again.'
    return new AppError('GALLERY_RETIRED', detail, { cause })
  }
  return cause
}
