import type { Database } from 'better-sqlite3'
import type { ItemId, ItemState, JobId, JobMode, JobState } from '../../jobs/jobs.js'
import type { CountRow, ItemRow, JobRow, LeaseRow, ProgressRow } from './job-rows.js'

const PROGRESS =
  'number, state, revision, is_scanned, unchanged, quarantined, stop_code, stop_detail, ' +
  'created_at, started_at, ended_at'
const JOB = `${PROGRESS}, request, warnings, skipped`
const ITEM = 'id, path, state, code, detail, attempts, settled'
const OPEN = `state IN ('queued', 'running')`
const NO_LEASE = 'owner = NULL, lease_until_ms = NULL'

/** Returns SQL that counts the paths in a JSON array that are not items of the job. */
const countNew = (paths: string) =>
  `(SELECT count(*) FROM json_each(${paths})
    WHERE NOT EXISTS (SELECT 1 FROM items WHERE job = @job AND path = value))`

/** Returns SQL that tests whether a path is inside a folder. */
const isInside = (path: string, folder: string) =>
  `substr(${path}, 1, length(${folder}) + 1) = rtrim(${folder}, '/') || '/'`

/** The columns that the end of an item sets. */
export interface SettledRow {
  item: ItemId
  claim: number
  state: ItemState
  code: string | null
  detail: string | null
  settled: number
  ended_ms: number
  seconds: number
  read_ms: number
  decode_ms: number
  encode_ms: number
}

/** Sums over the items of a job that ended last. `read`, `decode` and `encode` are in ms. */
export interface FigureRow {
  clips: number
  since_ms: number | null // end time of the oldest of these clips
  seconds: number
  read: number
  decode: number
  encode: number
}

/** The prepared statements of jobs and their items. */
export type JobStatements = ReturnType<typeof prepareJobs>

/** Prepares every statement of jobs and their items. */
export function prepareJobs(db: Database) {
  return {
    ...prepareJobRows(db),
    ...prepareScans(db),
    ...prepareItemReads(db),
    ...prepareItemWrites(db),
    ...prepareLeases(db),
  }
}

/** Prepares the statements that create, read and change jobs. */
function prepareJobRows(db: Database) {
  return {
    job: db.prepare<[JobId], JobRow>(`SELECT ${JOB} FROM jobs WHERE number = ?`),
    jobs: db.prepare<[number, number], JobRow>(
      `SELECT ${JOB} FROM jobs WHERE number < ? ORDER BY number DESC LIMIT ?`,
    ),
    jobOfKey: db.prepare<[string], JobRow>(`SELECT ${JOB} FROM jobs WHERE idempotency_key = ?`),
    unfinishedJob: db.prepare<[string], JobRow>(
      `SELECT ${JOB} FROM jobs WHERE state IN ('queued', 'running', 'paused') AND request = ?
       ORDER BY number DESC LIMIT 1`,
    ),
    progress: db.prepare<[JobId], ProgressRow>(`SELECT ${PROGRESS} FROM jobs WHERE number = ?`),
    countsOf: db.prepare<[string], CountRow & { job: JobId }>(
      `SELECT job, state, code, items FROM item_counts
       WHERE job IN (SELECT value FROM json_each(?)) AND items > 0`,
    ),
    counts: db.prepare<[JobId], CountRow>(
      'SELECT state, code, items FROM item_counts WHERE job = ? AND items > 0',
    ),
    insertJob: db.prepare<
      [{ key: string | null; request: string; mode: JobMode; now: string }],
      JobRow
    >(
      `INSERT INTO jobs (idempotency_key, request, mode, state, created_at)
       VALUES (@key, @request, @mode, 'queued', @now) RETURNING ${JOB}`,
    ),
    addSources: db.prepare<[{ sources: string; now: string }]>(
      `INSERT INTO sources SELECT value, @now FROM json_each(@sources) AS new
       WHERE NOT EXISTS (SELECT 1 FROM sources WHERE value = path OR ${isInside('value', 'path')})`,
    ),
    deleteInnerSources: db.prepare<[]>(
      `DELETE FROM sources WHERE EXISTS (
         SELECT 1 FROM sources AS folder WHERE ${isInside('sources.path', 'folder.path')})`,
    ),
    deleteOldJobs: db.prepare<[number]>(
      `DELETE FROM jobs WHERE (ended_at, number) <= (
         SELECT ended_at, number FROM jobs WHERE ended_at IS NOT NULL
         ORDER BY ended_at DESC, number DESC LIMIT 1 OFFSET ?)`,
    ),
    setState: db.prepare<
      [
        {
          job: JobId
          state: JobState
          ended: string | null
          code: string | null
          detail: string | null
        },
      ]
    >(
      `UPDATE jobs SET state = @state, ended_at = @ended, stop_code = @code, stop_detail = @detail,
         scan_owner = NULL, scan_until_ms = NULL, revision = revision + 1
       WHERE number = @job`,
    ),
    scanAgain: db.prepare<[JobId]>('UPDATE jobs SET is_scanned = 0 WHERE number = ?'),
    revise: db.prepare<[JobId], { revision: number }>(
      'UPDATE jobs SET revision = revision + 1 WHERE number = ? RETURNING revision',
    ),
  }
}

/** Prepares the statements of scans and of the end of jobs. */
function prepareScans(db: Database) {
  return {
    startable: db.prepare<[{ job: JobId | null; now: number }], JobRow>(
      `SELECT ${JOB} FROM jobs
       WHERE (@job IS NULL OR number = @job)
         AND (state = 'queued' OR (
           state = 'running' AND NOT is_scanned AND coalesce(scan_until_ms, 0) < @now))
       ORDER BY number`,
    ),
    scanning: db.prepare<[number], { request: string }>(
      `SELECT request FROM jobs WHERE state = 'running' AND NOT is_scanned AND scan_until_ms >= ?`,
    ),
    startJob: db.prepare<[{ job: JobId; owner: string; until: number; now: string }]>(
      `UPDATE jobs SET state = 'running', started_at = @now, revision = revision + 1,
         scan_owner = iif(is_scanned, NULL, @owner), scan_until_ms = iif(is_scanned, NULL, @until),
         unchanged = iif(is_scanned, unchanged, 0), quarantined = iif(is_scanned, quarantined, 0),
         warnings = iif(is_scanned, warnings, '[]')
       WHERE number = @job`,
    ),
    addSkipped: db.prepare<[{ job: JobId; owner: string; unchanged: string; quarantined: string }]>(
      `UPDATE jobs SET unchanged = unchanged + ${countNew('@unchanged')},
         quarantined = quarantined + ${countNew('@quarantined')}, revision = revision + 1
       WHERE number = @job AND state = 'running' AND scan_owner = @owner`,
    ),
    warn: db.prepare<[{ job: JobId; detail: string; most: number }]>(
      `UPDATE jobs SET warnings = json_insert(warnings, '$[#]', @detail), revision = revision + 1
       WHERE number = @job AND json_array_length(warnings) < @most`,
    ),
    endScan: db.prepare<[{ job: JobId; owner: string; skipped: string }]>(
      `UPDATE jobs SET is_scanned = 1, scan_owner = NULL, scan_until_ms = NULL, skipped = @skipped,
         revision = revision + 1
       WHERE number = @job AND state = 'running' AND scan_owner = @owner`,
    ),
    exhausted: db.prepare<[{ job: JobId | null }], { number: JobId }>(
      `SELECT number FROM jobs
       WHERE state = 'running' AND is_scanned AND (@job IS NULL OR number = @job)
         AND NOT EXISTS (SELECT 1 FROM items WHERE job = number AND items.${OPEN})`,
    ),
  }
}

/** Prepares the statements that read items. */
function prepareItemReads(db: Database) {
  return {
    items: db.prepare<
      [{ job: JobId; state: ItemState | null; after: ItemId; limit: number }],
      ItemRow
    >(
      `SELECT ${ITEM} FROM items
       WHERE job = @job AND (@state IS NULL OR state = @state) AND id > @after
       ORDER BY id LIMIT @limit`,
    ),
    ended: db.prepare<[JobId, number, number], ItemRow>(
      `SELECT ${ITEM} FROM items WHERE job = ? AND settled > ? ORDER BY settled LIMIT ?`,
    ),
    figures: db.prepare<[{ jobs: string; clips: number }], { figures: string }>(
      `SELECT (
         SELECT json_object('clips', count(*), 'since_ms', min(ended_ms), 'seconds', total(seconds),
           'read', total(read_ms), 'decode', total(decode_ms), 'encode', total(encode_ms))
         FROM (SELECT * FROM items
               WHERE job = value ->> 'id' AND settled IS NOT NULL AND ended_ms >= value ->> 'since'
               ORDER BY settled DESC LIMIT @clips)) AS figures
       FROM json_each(@jobs) ORDER BY key`,
    ),
  }
}

/** Prepares the statements that claim and change items. */
function prepareItemWrites(db: Database) {
  return {
    insertItem: db.prepare<[{ job: JobId; path: string; bytes: number; mtimeMs: number }]>(
      `INSERT INTO items (job, path, bytes, mtime_ms) VALUES (@job, @path, @bytes, @mtimeMs)
       ON CONFLICT DO NOTHING`,
    ),
    failItem: db.prepare<
      [{ item: ItemId; code: string; detail: string; settled: number; now: number }]
    >(
      `UPDATE items SET state = 'failed', code = @code, detail = @detail, settled = @settled,
         ended_ms = @now, ${NO_LEASE}
       WHERE id = @item`,
    ),
    jobToServe: db.prepare<[{ job: JobId | null; now: number }], { number: JobId }>(
      `SELECT number FROM jobs
       WHERE state = 'running' AND (@job IS NULL OR number = @job)
         AND EXISTS (
           SELECT 1 FROM items
           WHERE job = number AND items.state = 'queued' AND not_before_ms <= @now)
       ORDER BY (
         SELECT total(items) FROM item_counts
         WHERE job = number AND item_counts.state = 'running'), number
       LIMIT 1`,
    ),
    claimItem: db.prepare<[{ job: JobId; owner: string; until: number; now: number }], LeaseRow>(
      `UPDATE items SET state = 'running', claim = claim + 1, owner = @owner,
         lease_until_ms = @until
       WHERE id = (
         SELECT id FROM items WHERE job = @job AND state = 'queued' AND not_before_ms <= @now
         ORDER BY interruptions, id LIMIT 1)
       RETURNING id, claim, job, path, bytes, mtime_ms, attempts,
         (SELECT mode FROM jobs WHERE number = job) AS mode`,
    ),
    settleItem: db.prepare<[SettledRow]>(
      `UPDATE items SET state = @state, code = @code, detail = @detail, settled = @settled,
         ended_ms = @ended_ms, seconds = @seconds, read_ms = @read_ms, decode_ms = @decode_ms,
         encode_ms = @encode_ms, ${NO_LEASE}
       WHERE id = @item AND claim = @claim AND state = 'running'`,
    ),
    postponeItem: db.prepare<
      [{ item: ItemId; claim: number; code: string; detail: string; notBefore: number }]
    >(
      `UPDATE items SET state = 'queued', code = @code, detail = @detail, attempts = attempts + 1,
         not_before_ms = @notBefore, ${NO_LEASE}
       WHERE id = @item AND claim = @claim AND state = 'running'`,
    ),
    queueRunning: db.prepare<[JobId]>(
      `UPDATE items SET state = 'queued', ${NO_LEASE} WHERE job = ? AND state = 'running'`,
    ),
    cancelOpen: db.prepare<[JobId]>(
      `UPDATE items SET state = 'canceled', ${NO_LEASE} WHERE job = ? AND ${OPEN}`,
    ),
    retryFailed: db.prepare<[{ job: JobId; codes: string | null }]>(
      `UPDATE items SET state = 'queued', code = NULL, detail = NULL, attempts = 0,
         interruptions = 0, not_before_ms = 0, settled = NULL, ended_ms = NULL
       WHERE job = @job AND state = 'failed'
         AND (@codes IS NULL OR code IN (SELECT value FROM json_each(@codes)))`,
    ),
  }
}

/** Prepares the statements of leases. */
function prepareLeases(db: Database) {
  return {
    extendItems: db.prepare<[number, string]>(
      `UPDATE items SET lease_until_ms = ? WHERE state = 'running' AND owner = ?`,
    ),
    extendScans: db.prepare<[number, string]>(
      'UPDATE jobs SET scan_until_ms = ? WHERE scan_owner = ?',
    ),
    heldItems: db.prepare<[string], { id: ItemId }>(
      `SELECT id FROM items WHERE state = 'running' AND owner = ?`,
    ),
    heldScans: db.prepare<[string], { number: JobId }>(
      'SELECT number FROM jobs WHERE scan_owner = ?',
    ),
    owners: db.prepare<[], { owner: string }>(
      `SELECT owner FROM items WHERE state = 'running'
       UNION SELECT scan_owner FROM jobs WHERE scan_owner IS NOT NULL`,
    ),
    releaseItems: db.prepare<[string]>(
      `UPDATE items SET state = 'queued', ${NO_LEASE} WHERE state = 'running' AND owner = ?`,
    ),
    releaseScans: db.prepare<[string]>(
      'UPDATE jobs SET scan_owner = NULL, scan_until_ms = NULL WHERE scan_owner = ?',
    ),
    heldBy: db.prepare<[string], InterruptedRow>(
      `SELECT id, job, path, bytes, mtime_ms, interruptions FROM items
       WHERE state = 'running' AND owner = ?`,
    ),
    overdue: db.prepare<[number], InterruptedRow>(
      `SELECT id, job, path, bytes, mtime_ms, interruptions FROM items
       WHERE state = 'running' AND lease_until_ms < ?`,
    ),
    interruptItem: db.prepare<[ItemId]>(
      `UPDATE items SET state = 'queued', interruptions = interruptions + 1, ${NO_LEASE}
       WHERE id = ?`,
    ),
  }
}

/** The columns of an item whose lease expired or whose owner ended. */
export interface InterruptedRow {
  id: ItemId
  job: JobId
  path: string
  bytes: number
  mtime_ms: number
  interruptions: number
}
