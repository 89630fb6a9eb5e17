import type { Database, Statement } from 'better-sqlite3'
import type { Clip } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import { clipId } from '../catalogue/clip-id.js'
import type { FileReader, KnownFile, MissingClip, PathPage } from '../catalogue/files.js'
import { type ClipRow, toClip } from './rows.js'
import { CLIP } from './statements.js'

interface KnownRow {
  path: string
  number: number | null
  key: string
  bytes: number
  mtime_ms: number
  missing_since: string | null
  code: string | null
  failed_bytes: number
  failed_mtime_ms: number
}

/** Reads the files of a catalogue from SQLite. */
export class SqliteFiles implements FileReader {
  readonly #known: Statement<[string], KnownRow>
  readonly #under: Statement<[UnderParameters & { after: string; limit: number }], ClipRow>
  readonly #count: Statement<[UnderParameters], { count: number }>
  readonly #sameQuickHash: Statement<
    [{ quickHash: string; bytes: number; mtimeMs: number }],
    ClipRow
  >
  readonly #sources: Statement<[], { path: string }>
  readonly #hashes: Statement<[string], { hash: string }>
  readonly #missing: Statement<[string, number], ClipRow & { missing_since: string }>

  constructor(db: Database) {
    this.#known = db.prepare(
      `SELECT wanted.path, number, key, clips.bytes, clips.mtime_ms, missing_since,
              code, failures.bytes AS failed_bytes, failures.mtime_ms AS failed_mtime_ms
       FROM (SELECT value AS path FROM json_each(?)) AS wanted
       LEFT JOIN clips ON clips.path = wanted.path AND hash <> ''
       LEFT JOIN failures ON failures.path = wanted.path
       WHERE number IS NOT NULL OR code IS NOT NULL`,
    )
    this.#under = db.prepare(
      `SELECT ${CLIP} FROM clips WHERE ${UNDER} AND path > @after ORDER BY path LIMIT @limit`,
    )
    this.#count = db.prepare(`SELECT count(*) AS count FROM clips WHERE ${UNDER}`)
    this.#sameQuickHash = db.prepare(
      `SELECT ${CLIP} FROM clips
       WHERE quick_hash = @quickHash AND bytes = @bytes AND mtime_ms = @mtimeMs ORDER BY number`,
    )
    this.#sources = db.prepare('SELECT path FROM sources ORDER BY path')
    this.#hashes = db.prepare(
      'SELECT DISTINCT hash FROM clips WHERE hash IN (SELECT value FROM json_each(?))',
    )
    this.#missing = db.prepare(
      `SELECT ${CLIP}, missing_since FROM clips
       WHERE missing_since IS NOT NULL AND path > ? ORDER BY path LIMIT ?`,
    )
  }

  async known(paths: readonly string[]): Promise<ReadonlyMap<string, KnownFile>> {
    return new Map(this.#known.all(JSON.stringify(paths)).map((row) => [row.path, toKnown(row)]))
  }

  async clipsUnder(path: string, { after = '', limit }: PathPage): Promise<Clip[]> {
    return this.#under.all({ ...under(path), after, limit }).map(toClip)
  }

  async countUnder(path: string): Promise<number> {
    return this.#count.get(under(path))?.count ?? 0
  }

  async findByQuickHash({
    quickHash,
    bytes,
    mtimeMs,
  }: FileStat & { readonly quickHash: string }): Promise<Clip[]> {
    return this.#sameQuickHash.all({ quickHash, bytes, mtimeMs }).map(toClip)
  }

  async sources(): Promise<string[]> {
    return this.#sources.all().map(({ path }) => path)
  }

  async hashesInUse(hashes: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(this.#hashes.all(JSON.stringify(hashes)).map(({ hash }) => hash))
  }

  async missingClips({ after = '', limit }: PathPage): Promise<MissingClip[]> {
    return this.#missing
      .all(after, limit)
      .map((row) => ({ ...toClip(row), missingSince: row.missing_since }))
  }
}

interface UnderParameters {
  path: string
  prefix: string
  end: string
}

const UNDER = 'path >= @path AND path < @end AND (path = @path OR path >= @prefix)'

/** Returns the query parameters for a path and all paths inside it. */
function under(path: string): UnderParameters {
  const prefix = path.endsWith('/') ? path : `${path}/`
  return { path, prefix, end: `${prefix.slice(0, -1)}0` } // 0 is the character after the slash
}

const toKnown = (row: KnownRow): KnownFile => ({
  clip:
    row.number === null
      ? null
      : {
          id: clipId({ number: row.number, key: row.key }),
          bytes: row.bytes,
          mtimeMs: row.mtime_ms,
          isMissing: row.missing_since !== null,
        },
  failure:
    row.code === null
      ? null
      : { code: row.code, bytes: row.failed_bytes, mtimeMs: row.failed_mtime_ms },
})
