import { basename } from 'node:path'
import type { Clip, Note, Span } from '../../domain/clip.js'
import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import type { SegmentOfClip } from '../catalogue/catalogue.js'
import type { Change } from '../catalogue/change-log.js'
import { clipId } from '../catalogue/clip-id.js'
import type { Failure } from '../catalogue/failure.js'

/** The columns of each query, as SQLite answers them, and what they are in our words. */
export interface ClipRow {
  number: number
  key: string
  path: string
  name: string | null
  hash: string
  bytes: number
  mtime_ms: number
  seconds: number
  has_audio: number
  has_visual: number
  notes: string
  indexed_at: string
}

export const toClip = (row: ClipRow): Clip => ({
  id: clipId(row),
  path: row.path,
  name: row.name ?? basename(row.path),
  hash: row.hash,
  bytes: row.bytes,
  mtimeMs: row.mtime_ms,
  seconds: row.seconds,
  hasAudio: row.has_audio === 1,
  hasVisual: row.has_visual === 1,
  notes: JSON.parse(row.notes) as Note[],
  indexedAt: row.indexed_at,
})

export interface SegmentRow {
  id: SegmentId
  number: number
  key: string
  start_s: number
  end_s: number
}

export const toSegment = (row: SegmentRow): SegmentOfClip => ({
  id: row.id,
  clip: clipId(row),
  start: row.start_s,
  end: row.end_s,
})

export interface SpanRow {
  id: SegmentId
  start_s: number
  end_s: number
}

export const toSpan = (row: SpanRow): Span => ({ start: row.start_s, end: row.end_s })

export interface FailureRow {
  path: string
  code: string
  detail: string
  bytes: number
  mtime_ms: number
  failed_at: string
}

export const toFailure = ({ mtime_ms, failed_at, ...row }: FailureRow): Failure => ({
  ...row,
  mtimeMs: mtime_ms,
  failedAt: failed_at,
})

export interface ChangeRow {
  seq: Seq
  op: 'put' | 'drop'
  segment: SegmentId
  modality: Modality | null
  vector: Buffer | null
}

/** Undefined for a put whose vector a later drop took away. */
export function toChange({ seq, op, segment, modality, vector }: ChangeRow): Change | undefined {
  if (op === 'drop') return { seq, op, segment }
  return modality && vector ? { seq, op, segment, modality, vector: toVector(vector) } : undefined
}

// Little-endian, as is every machine that the encoder runs on. A blob may start anywhere in its buffer and a
// Float32Array only at a multiple of four: hence the copy.
export const toVector = (blob: Buffer): UnitVector =>
  new Float32Array(new Uint8Array(blob).buffer) as UnitVector

export const toBlob = (vector: UnitVector): Buffer => Buffer.from(new Float32Array(vector).buffer)
