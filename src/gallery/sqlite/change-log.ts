import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type { Seq } from '../../domain/ids.js'
import type { ChangeLog, ChangePage } from '../catalogue/change-log.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'
import { type ChangeRow, toChange } from './rows.js'

const ROWS_AT_A_TIME = 5_000 // rows that one transaction of a compaction reads

/** The change log of a catalogue, as a table of rows in order. */
export class SqliteChangeLog implements ChangeLog {
  readonly #sql: ReturnType<typeof prepare>

  constructor(private readonly db: Database) {
    this.#sql = prepare(db)
  }

  async head(): Promise<Seq> {
    return this.#sql.head.get()?.head ?? 0
  }

  /** Reads the rows and the compaction point in one transaction. */
  async read(after: Seq, limit: number): Promise<ChangePage> {
    return this.db.transaction((): ChangePage => {
      const rows = this.#sql.changes.all(after, limit)
      return {
        changes: rows.flatMap((row) => toChange(row) ?? []),
        cursor: rows.at(-1)?.seq ?? after,
        compactedUpTo: this.#sql.compacted.get()?.compacted ?? 0,
      }
    })()
  }

  async historyTokenAt(seq: Seq): Promise<string | undefined> {
    return this.#sql.mark.get(seq)?.mark
  }

  /**
   * Moves the compaction point first. A follower below that point rebuilds its index, even if an
   * interrupted compaction deleted only some rows.
   */
  async compact(upTo: Seq): Promise<void> {
    mapSqliteErrors(() => this.#sql.setCompacted.run({ upTo }))
    for (let from = 0; from < upTo; from += ROWS_AT_A_TIME) {
      mapSqliteErrors(() =>
        this.#sql.deleteSuperseded.run({ from, to: Math.min(from + ROWS_AT_A_TIME, upTo - 1) }),
      )
      await setImmediate()
    }
  }
}

function prepare(db: Database) {
  return {
    head: db.prepare<[], { head: Seq }>('SELECT coalesce(max(seq), 0) AS head FROM changes'),
    changes: db.prepare<[Seq, number], ChangeRow>(
      `SELECT seq, op, changes.segment, changes.modality, vector, number, key, path, seconds,
              indexed_at, has_audio, has_visual, metadata,
              iif(op = 'put', (SELECT json_group_object(mid, probability) FROM tags
                JOIN labels ON labels.number = label WHERE tags.segment = changes.segment), NULL)
              AS labels
       FROM changes
       LEFT JOIN embeddings
         ON embeddings.segment = changes.segment AND embeddings.modality = changes.modality
       LEFT JOIN clips ON number = changes.clip
       WHERE seq > ? ORDER BY seq LIMIT ?`,
    ),
    compacted: db.prepare<[], { compacted: Seq }>('SELECT compacted FROM stamp'),
    mark: db.prepare<[Seq], { mark: string }>(
      'SELECT hex(mark) AS mark FROM changes WHERE seq = ?',
    ),
    setCompacted: db.prepare<[{ upTo: Seq }]>(
      'UPDATE stamp SET compacted = @upTo WHERE compacted < @upTo',
    ),
    deleteSuperseded: db.prepare<[{ from: Seq; to: Seq }]>(
      `DELETE FROM changes WHERE seq > @from AND seq <= @to AND (
         op = 'drop'
         OR op = 'put' AND NOT EXISTS (
           SELECT 1 FROM embeddings
           WHERE embeddings.segment = changes.segment AND embeddings.modality = changes.modality)
         OR op = 'attributes' AND (
           NOT EXISTS (SELECT 1 FROM clips WHERE number = changes.clip)
           OR EXISTS (SELECT 1 FROM changes AS later
             WHERE later.op = 'attributes' AND later.clip = changes.clip
               AND later.seq > changes.seq)))`,
    ),
  }
}
