import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'

const RETRY_MS = 100

interface Holder {
  readonly pid: number
  readonly host: string
}

/**
 * Acquires the write lock of a folder. One process can hold it at a time. The lock is an open
 * transaction on a separate database: the system ends it with the process. Throws DATA_LOCKED,
 * which names the holder, after `waitMs`. Throws DATA_UNUSABLE if the folder cannot be written.
 */
export async function lockFolder(dir: string, { waitMs = 0 } = {}): Promise<AsyncDisposable> {
  for (const end = performance.now() + waitMs; ; await setTimeout(RETRY_MS)) {
    try {
      return lockNow(dir)
    } catch (error) {
      const isLocked = error instanceof AppError && error.code === 'DATA_LOCKED'
      if (!isLocked || performance.now() >= end) throw error
    }
  }
}

function lockNow(dir: string): AsyncDisposable {
  const db = openLock(dir)
  try {
    acquire(db)
    return { [Symbol.asyncDispose]: async () => void db.close() }
  } catch (cause) {
    const refusal = isBusy(cause)
      ? lockedBy(dir, db.prepare<[], Holder>(READ_HOLDER).get(), cause)
      : toAppError(cause)
    db.close()
    throw refusal
  }
}

function openLock(dir: string): Database.Database {
  try {
    mkdirSync(dir, { recursive: true })
    const db = new Database(join(dir, 'lock.sqlite'), { timeout: 0 })
    db.exec(TABLE)
    return db
  } catch (cause) {
    if (isBusy(cause)) throw lockedBy(dir, undefined, cause)
    if (isDiskFull(cause)) throw toAppError(cause)
    throw new AppError('DATA_UNUSABLE', `${dir} cannot be written: ${(cause as Error).message}`, {
      cause,
    })
  }
}

const TABLE = `CREATE TABLE IF NOT EXISTS holder (
  only INTEGER PRIMARY KEY CHECK (only = 1), pid INTEGER, host TEXT)`
const READ_HOLDER = 'SELECT pid, host FROM holder'

/**
 * Writes this process as the holder and begins the lock transaction. Other processes can read the
 * holder only after a commit. Another process can take the lock between the two transactions, so
 * the loop repeats.
 */
function acquire(db: Database.Database): void {
  const self: Holder = { pid: process.pid, host: hostname() }
  const holder = db.prepare<[], Holder>(READ_HOLDER)
  const isSelf = ({ pid, host }: Partial<Holder> = {}) => pid === self.pid && host === self.host
  for (db.exec('BEGIN IMMEDIATE'); !isSelf(holder.get()); db.exec('BEGIN IMMEDIATE')) {
    db.prepare('INSERT OR REPLACE INTO holder (only, pid, host) VALUES (1, @pid, @host)').run(self)
    db.exec('COMMIT')
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')

function lockedBy(dir: string, holder: Holder | undefined, cause: unknown): AppError {
  const owner = holder ? `process ${holder.pid} on ${holder.host}` : 'another process'
  const detail =
    `${dir} is locked by ${owner}. Stop that process, or send the request to it over HTTP. ` +
    'Searches and backups need no lock.'
  return new AppError('DATA_LOCKED', detail, { cause })
}
