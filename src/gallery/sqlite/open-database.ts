import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { AppError, isDiskFull, toAppError } from '../../errors.js'
import type { CatalogueHeader } from '../catalogue/catalogue.js'
import { migrate } from './migrate.js'

/** How long a process waits for a write of another process, in ms. */
export const BUSY_MS = 10_000

/** The file, the migrations and the expected header of a catalogue. */
export interface SqliteOptions {
  readonly file: string
  readonly migrationsDir: string
  readonly header: CatalogueHeader
}

/**
 * Opens or creates the database, migrates it to the newest schema, and writes or checks its header.
 * Throws DATA_UNUSABLE, DISK_FULL, CATALOGUE_NEWER or FINGERPRINT_MISMATCH.
 */
export function openDatabase(options: SqliteOptions): Database.Database {
  try {
    mkdirSync(dirname(options.file), { recursive: true })
    return openUsable(options)
  } catch (cause) {
    if (cause instanceof AppError || isDiskFull(cause)) throw toAppError(cause)
    const detail = `${options.file} cannot be used as a catalogue: ${(cause as Error).message}`
    throw new AppError('DATA_UNUSABLE', detail, { cause })
  }
}

function openUsable({ file, migrationsDir, header }: SqliteOptions): Database.Database {
  const db = new Database(file, { timeout: BUSY_MS })
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL') // acknowledged writes survive a power cut
    db.pragma('foreign_keys = ON')
    migrate(db, migrationsDir)
    checkHeader(db, header, file)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function checkHeader(
  db: Database.Database,
  { fingerprint, dimension, equals = [] }: CatalogueHeader,
  file: string,
): void {
  db.prepare(
    'INSERT INTO stamp (only, fingerprint, dimension) VALUES (1, ?, ?) ON CONFLICT DO NOTHING',
  ).run(fingerprint, dimension)
  const stored = db
    .prepare<[], CatalogueHeader>('SELECT fingerprint, dimension FROM stamp')
    .get() as CatalogueHeader
  if (stored.fingerprint === fingerprint && stored.dimension === dimension) return
  if (equals.includes(stored.fingerprint) && stored.dimension === dimension) {
    db.prepare('UPDATE stamp SET fingerprint = ?').run(fingerprint)
    return
  }
  throw new AppError(
    'FINGERPRINT_MISMATCH',
    `Expected embeddings of bundle ${describe({ fingerprint, dimension })}, ` +
      `but ${file} has embeddings of bundle ${describe(stored)}: ` +
      'index into another data folder, or use the bundle of this catalogue.',
  )
}

const describe = ({ fingerprint, dimension }: CatalogueHeader): string =>
  `${fingerprint.slice(0, 12)} (${dimension} numbers each)`
