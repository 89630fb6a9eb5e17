import Database from 'better-sqlite3'
import type { Clip } from '../../domain/clip.js'
import type { ClipId } from '../../domain/ids.js'
import { clipId, parseClipId } from '../catalogue/clip-id.js'
import type { GalleryMigration } from '../catalogue/gallery-migration.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'
import { BUSY_MS } from './open-database.js'
import { type ClipRow, toClip } from './rows.js'
import { writeTransaction } from './transaction.js'

/** The catalogue files of a migration. */
export interface MigrationFiles {
  readonly from: string // the catalogue that serves
  readonly to: string // the new catalogue; it has the newest schema because it was opened before
}

/**
 * Migrates with one connection to both files: `main` is the new catalogue, `old` is the one that
 * serves.
 */
export class SqliteGalleryMigration implements GalleryMigration {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepare>

  /** Opens both catalogues. Throws if SQLite cannot open a file. */
  static async open({ from, to }: MigrationFiles): Promise<SqliteGalleryMigration> {
    const db = new Database(to, { timeout: BUSY_MS })
    try {
      return new SqliteGalleryMigration(db, from)
    } catch (error) {
      db.close()
      throw error
    }
  }

  private constructor(db: Database.Database, from: string) {
    this.#db = db
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.prepare('ATTACH ? AS old').run(from)
    db.exec(DONE_TABLE)
    // The new catalogue can be a retired one.
    mapSqliteErrors(() => db.exec('UPDATE main.stamp SET successor = NULL'))
    this.#sql = prepare(db)
  }

  async mirror(): Promise<void> {
    writeTransaction(this.#db, () => this.#db.exec(MIRROR))
  }

  async removedClips(): Promise<ClipId[]> {
    return this.#sql.removed.all().map(clipId)
  }

  async pendingClips(limit: number): Promise<{ clips: Clip[]; count: number }> {
    return { clips: this.#sql.pending.all(limit).map(toClip), count: this.#pendingCount() }
  }

  async markDone({ id, path, hash, bytes, mtimeMs }: Clip): Promise<void> {
    this.#sql.markDone.run({ ...parseClipId(id), path, hash, bytes, mtimeMs })
  }

  async cutOver(): Promise<boolean> {
    const retire = () => {
      if (this.#pendingCount() > 0 || this.#sql.removed.all().length > 0) return false
      this.#db.exec(MIRROR + HAND_OVER)
      return true
    }
    return writeTransaction(this.#db, retire)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close()
  }

  #pendingCount(): number {
    return this.#sql.pendingCount.get()?.count ?? 0
  }
}

const DONE_TABLE = `CREATE TEMP TABLE processed (
  number INTEGER PRIMARY KEY, key TEXT, path TEXT, hash TEXT, bytes INTEGER, mtime_ms REAL
)`

const PENDING = `FROM old.clips AS was WHERE NOT EXISTS (
  SELECT 1 FROM processed AS done
  JOIN main.clips AS now ON now.number = done.number AND now.key = done.key
  WHERE done.number = was.number AND done.key = was.key AND done.path = was.path
    AND done.hash = was.hash AND done.bytes = was.bytes AND done.mtime_ms = was.mtime_ms)`

// Paths are unique, and a path can move from one clip to another. So MIRROR first clears changed
// paths.
const MIRROR = `
  INSERT INTO main.changes (op, clip, mark) SELECT 'attributes', clips.number, randomblob(8)
    FROM main.clips JOIN old.clips AS was ON was.number = clips.number AND was.key = clips.key
    WHERE clips.hash = was.hash AND clips.hash <> ''
      AND (clips.path <> was.path OR clips.metadata <> was.metadata);
  UPDATE main.clips SET path = 'moving ' || clips.number FROM old.clips AS was
    WHERE was.number = clips.number AND was.key = clips.key
      AND was.path <> clips.path AND clips.hash <> '';
  DELETE FROM main.clips WHERE hash = '' AND path IN (
    SELECT path FROM old.clips AS was WHERE was.number <> clips.number);
  UPDATE main.clips SET path = was.path, name = was.name, metadata = was.metadata,
      bytes = was.bytes, mtime_ms = was.mtime_ms,
      quick_hash = was.quick_hash, missing_since = was.missing_since
    FROM old.clips AS was
    WHERE was.number = clips.number AND was.key = clips.key
      AND was.hash = clips.hash AND clips.hash <> '';
  INSERT OR REPLACE INTO processed
    SELECT was.number, was.key, was.path, was.hash, was.bytes, was.mtime_ms
    FROM old.clips AS was JOIN main.clips AS now
    ON now.number = was.number AND now.key = was.key AND now.hash = was.hash AND now.hash <> '';
  INSERT OR IGNORE INTO main.failures SELECT * FROM old.failures
    WHERE code <> 'MODALITY_NOT_SERVED' AND path NOT IN (SELECT path FROM main.clips);
`

const HAND_OVER = `
  DELETE FROM main.jobs;
  INSERT INTO main.jobs SELECT * FROM old.jobs;
  INSERT INTO main.items SELECT * FROM old.items;
  INSERT OR IGNORE INTO main.sources SELECT * FROM old.sources;
  UPDATE main.sqlite_sequence
    SET seq = max(seq, (SELECT seq FROM old.sqlite_sequence WHERE name = 'clips'))
    WHERE name = 'clips';
  UPDATE old.stamp SET successor = (SELECT fingerprint FROM main.stamp);
`

function prepare(db: Database.Database) {
  return {
    removed: db.prepare<[], { number: number; key: string }>(
      `SELECT number, key FROM main.clips AS now WHERE NOT EXISTS (
         SELECT 1 FROM old.clips AS was WHERE was.number = now.number AND was.key = now.key)`,
    ),
    pending: db.prepare<[number], ClipRow>(`SELECT was.* ${PENDING} ORDER BY number LIMIT ?`),
    pendingCount: db.prepare<[], { count: number }>(`SELECT count(*) AS count ${PENDING}`),
    markDone: db.prepare(
      'INSERT OR REPLACE INTO processed VALUES (@number, @key, @path, @hash, @bytes, @mtimeMs)',
    ),
  }
}
