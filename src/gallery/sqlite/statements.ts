import type { Database } from 'better-sqlite3'
import type { SegmentId } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { ClipIdParts } from '../catalogue/clip-id.js'
import type { ClipRow, EventRow, FailureRow, SegmentRow, SpanRow } from './rows.js'

/** The columns of a clip in a SELECT. */
export const CLIP =
  'number, key, path, name, hash, bytes, mtime_ms, seconds, has_audio, has_visual, notes, ' +
  'indexed_at, metadata'
const FAILURE = 'path, code, detail, bytes, mtime_ms, failed_at'

interface Moved {
  path: string
  name: string | null
  bytes: number
  mtimeMs: number
}

/** The prepared statements of the catalogue. */
export type Statements = ReturnType<typeof prepare>

/** Prepares every statement of the catalogue. A list of ids is passed as one JSON array. */
export function prepare(db: Database) {
  return {
    ...prepareClips(db),
    ...prepareSegments(db),
    ...prepareLabels(db),
    ...prepareFailures(db),
    ...prepareLog(db),
  }
}

/** Prepares the statements of clips. */
function prepareClips(db: Database) {
  return {
    clip: db.prepare<[number, string], ClipRow>(
      `SELECT ${CLIP} FROM clips WHERE number = ? AND key = ?`,
    ),
    clipAt: db.prepare<[string], ClipRow>(`SELECT ${CLIP} FROM clips WHERE path = ?`),
    clipsWithHash: db.prepare<[string], ClipRow>(
      `SELECT ${CLIP} FROM clips WHERE hash = ? ORDER BY number`,
    ),
    clips: db.prepare<[number, number], ClipRow>(
      `SELECT ${CLIP} FROM clips WHERE number > ? ORDER BY number LIMIT ?`,
    ),
    clipsByNumber: db.prepare<[string], ClipRow>(
      `SELECT ${CLIP} FROM clips WHERE number IN (SELECT value FROM json_each(?))`,
    ),
    insertClip: db.prepare<[Omit<ClipRow, 'number'> & { quick_hash: string | null }], ClipRow>(
      `INSERT INTO clips (
         key, path, name, hash, quick_hash, bytes, mtime_ms, seconds, has_audio, has_visual, notes,
         indexed_at, metadata)
       VALUES (
         @key, @path, @name, @hash, @quick_hash, @bytes, @mtime_ms, @seconds, @has_audio,
         @has_visual, @notes, @indexed_at, @metadata)
       ON CONFLICT (path) DO UPDATE SET
         name = excluded.name, hash = excluded.hash, bytes = excluded.bytes,
         mtime_ms = excluded.mtime_ms, seconds = excluded.seconds,
         has_audio = excluded.has_audio, has_visual = excluded.has_visual, notes = excluded.notes,
         indexed_at = excluded.indexed_at, quick_hash = excluded.quick_hash, missing_since = NULL
       RETURNING ${CLIP}`,
    ),
    importClip: db.prepare<[ClipRow & { quick_hash: string | null }], ClipRow>(
      `INSERT INTO clips (${CLIP}, quick_hash)
       VALUES (
         @number, @key, @path, @name, @hash, @bytes, @mtime_ms, @seconds, @has_audio, @has_visual,
         @notes, @indexed_at, @metadata, @quick_hash)
       RETURNING ${CLIP}`,
    ),
    conflictingClips: db.prepare<[{ number: number; path: string }], { number: number }>(
      'SELECT number FROM clips WHERE number = @number OR path = @path',
    ),
    touchClip: db.prepare<[ClipIdParts & { bytes: number; mtimeMs: number }]>(
      `UPDATE clips SET bytes = @bytes, mtime_ms = @mtimeMs, missing_since = NULL
       WHERE number = @number AND key = @key`,
    ),
    moveClip: db.prepare<[ClipIdParts & { from: string } & Moved], ClipRow>(
      `UPDATE clips SET path = @path, name = @name, bytes = @bytes, mtime_ms = @mtimeMs,
         missing_since = NULL
       WHERE number = @number AND key = @key AND path = @from
       RETURNING ${CLIP}`,
    ),
    setMissing: db.prepare<[{ since: string | null; numbers: string }]>(
      `UPDATE clips SET missing_since = iif(@since IS NULL, NULL, coalesce(missing_since, @since))
       WHERE number IN (SELECT value FROM json_each(@numbers))`,
    ),
    setMetadata: db.prepare<[ClipIdParts & { metadata: string }]>(
      'UPDATE clips SET metadata = @metadata WHERE number = @number AND key = @key',
    ),
    deleteClip: db.prepare<[number]>('DELETE FROM clips WHERE number = ?'),
  }
}

/** Prepares the statements of segments and embeddings. */
function prepareSegments(db: Database) {
  return {
    segmentsById: db.prepare<[string], SegmentRow>(
      `SELECT segments.id, number, key, start_s, end_s FROM segments JOIN clips ON number = clip
       WHERE segments.id IN (SELECT value FROM json_each(?))`,
    ),
    segmentsOfClip: db.prepare<[number, string], SpanRow>(
      `SELECT segments.id, start_s, end_s FROM segments JOIN clips ON number = clip
       WHERE number = ? AND key = ? ORDER BY start_s, segments.id`,
    ),
    insertSegment: db.prepare<[number, number, number], { id: SegmentId }>(
      'INSERT INTO segments (clip, start_s, end_s) VALUES (?, ?, ?) RETURNING id',
    ),
    deleteSegmentsOfClip: db.prepare<[number]>('DELETE FROM segments WHERE clip = ?'),
    embeddingsOfClip: db.prepare<[number, string, Modality], { vector: Buffer }>(
      `SELECT vector FROM embeddings JOIN segments ON segments.id = segment
       JOIN clips ON number = clip
       WHERE number = ? AND key = ? AND modality = ? ORDER BY start_s, segments.id`,
    ),
    insertEmbedding: db.prepare<[SegmentId, Modality, Buffer]>(
      'INSERT INTO embeddings (segment, modality, vector) VALUES (?, ?, ?)',
    ),
    copyEmbeddings: db.prepare<[{ from: SegmentId; to: SegmentId }], { modality: Modality }>(
      `INSERT INTO embeddings (segment, modality, vector)
       SELECT @to, modality, vector FROM embeddings WHERE segment = @from RETURNING modality`,
    ),
  }
}

/** Prepares the statements of labels, tags and events. */
function prepareLabels(db: Database) {
  return {
    tagsOfClip: db.prepare<
      [number, string],
      { segment: SegmentId; mid: string; name: string; probability: number }
    >(
      `SELECT segment, mid, labels.name, probability FROM tags
       JOIN labels ON labels.number = label JOIN segments ON segments.id = segment
       JOIN clips ON clips.number = clip
       WHERE clips.number = ? AND key = ? ORDER BY segment, probability DESC, label`,
    ),
    insertLabel: db.prepare<[string, string]>(
      'INSERT INTO labels (mid, name) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    copyTags: db.prepare<[{ from: SegmentId; to: SegmentId }]>(
      `INSERT INTO tags (segment, label, probability)
       SELECT @to, label, probability FROM tags WHERE segment = @from`,
    ),
    insertTag: db.prepare<[SegmentId, number, string]>(
      `INSERT INTO tags (segment, label, probability)
       SELECT ?, number, ? FROM labels WHERE mid = ?`,
    ),
    deleteEventsOfClip: db.prepare<[number]>('DELETE FROM events WHERE clip = ?'),
    insertEvent: db.prepare<[EventRow & { clip: number }]>(
      `INSERT INTO events (clip, label, start_s, end_s, probability, source)
       SELECT @clip, number, @start_s, @end_s, @probability, @source FROM labels WHERE mid = @mid`,
    ),
    eventsOfClip: db.prepare<[number, string], EventRow>(
      `SELECT mid, labels.name, start_s, end_s, probability, source FROM events
       JOIN labels ON labels.number = label JOIN clips ON clips.number = clip
       WHERE clips.number = ? AND key = ? ORDER BY start_s, end_s, label`,
    ),
  }
}

/** Prepares the statements of failures and counters. */
function prepareFailures(db: Database) {
  return {
    failures: db.prepare<[number], FailureRow>(
      `SELECT ${FAILURE} FROM failures ORDER BY failed_at DESC, path LIMIT ?`,
    ),
    failureAt: db.prepare<[string], FailureRow>(`SELECT ${FAILURE} FROM failures WHERE path = ?`),
    insertFailure: db.prepare<[FailureRow]>(
      `INSERT INTO failures (${FAILURE})
       VALUES (@path, @code, @detail, @bytes, @mtime_ms, @failed_at)
       ON CONFLICT (path) DO UPDATE SET code = excluded.code, detail = excluded.detail,
         bytes = excluded.bytes, mtime_ms = excluded.mtime_ms, failed_at = excluded.failed_at`,
    ),
    deleteFailure: db.prepare<[string]>('DELETE FROM failures WHERE path = ?'),
    counters: db.prepare<[], { name: string; count: number }>('SELECT name, count FROM counters'),
  }
}

/** Prepares the statements of the change log. */
function prepareLog(db: Database) {
  return {
    logPut: db.prepare<[SegmentId, Modality, number]>(
      `INSERT INTO changes (op, segment, modality, clip, mark)
       VALUES ('put', ?, ?, ?, randomblob(8))`,
    ),
    logAttributes: db.prepare<[number]>(
      `INSERT INTO changes (op, clip, mark) VALUES ('attributes', ?, randomblob(8))`,
    ),
    logDropsOfClip: db.prepare<[number]>(
      `INSERT INTO changes (op, segment, mark)
       SELECT 'drop', id, randomblob(8) FROM segments WHERE clip = ? ORDER BY id`,
    ),
  }
}
