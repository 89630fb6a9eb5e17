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
 * The right to write to what lies in a folder, held by one process at a time: an open transaction on a database of its
 * own, which the system ends with the process, however that ends. DATA_LOCKED names the holder, DATA_UNUSABLE.
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
    takeOver(db)
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

const TABLE =
  'CREATE TABLE IF NOT EXISTS holder (only INTEGER PRIMARY KEY CHECK (only = 1), pid INTEGER, host TEXT)'
const READ_HOLDER = 'SELECT pid, host FROM holder'

/** Others see who holds the lock only once that is committed, and between the two transactions another may slip in. */
function takeOver(db: Database.Database): void {
  const me: Holder = { pid: process.pid, host: hostname() }
  const holder = db.prepare<[], Holder>(READ_HOLDER)
  const isMe = ({ pid, host }: Partial<Holder> = {}) => pid === me.pid && host === me.host
  for (db.exec('BEGIN IMMEDIATE'); !isMe(holder.get()); db.exec('BEGIN IMMEDIATE')) {
    db.prepare('INSERT OR REPLACE INTO holder (only, pid, host) VALUES (1, @pid, @host)').run(me)
    db.exec('COMMIT')
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')

function lockedBy(dir: string, holder: Holder | undefined, cause: unknown): AppError {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process'
  const detail = `${dir} is being written by ${who}: stop it, or ask it over HTTP. Searching and backups need no lock.`
  return new AppError('DATA_LOCKED', detail, { cause })
}
