import { basename } from 'node:path'
import type { Attributes, Metadata } from '../../domain/attributes.js'
import type { Clip, ClipEvent, Note, Span } from '../../domain/clip.js'
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
  metadata: string
}

export const toClip = (row: ClipRow): Clip => ({
  id: clipId(row),
  path: row.path,
  name: row.name ?? basename(row.path),
  state: row.hash === '' ? 'pending' : 'indexed',
  hash: row.hash === '' ? null : row.hash,
  bytes: row.bytes,
  mtimeMs: row.mtime_ms,
  seconds: row.seconds,
  hasAudio: row.has_audio === 1,
  hasVisual: row.has_visual === 1,
  notes: JSON.parse(row.notes) as Note[],
  indexedAt: row.indexed_at,
  metadata: JSON.parse(row.metadata) as Metadata,
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

export interface EventRow {
  mid: string
  name: string
  start_s: number
  end_s: number
  probability: number
  source: ClipEvent['source']
}

export const toEvent = ({ start_s, end_s, ...row }: EventRow): ClipEvent => ({
  ...row,
  start: start_s,
  end: end_s,
})

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
  op: 'put' | 'drop' | 'attributes'
  segment: SegmentId
  modality: Modality | null
  vector: Buffer | null
  labels: string | null // JSON: probability by mid
  number: number | null // of the clip, and its further columns: NULL if it was removed
  key: string
  path: string
  seconds: number
  indexed_at: string
  has_audio: number
  has_visual: number
  metadata: string
}

/** Returns undefined for a row whose vector or clip a later row removed. */
export function toChange(row: ChangeRow): Change | undefined {
  const { seq, op, segment, modality, vector, number, key } = row
  if (op === 'drop') return { seq, op, segment }
  if (number === null) return undefined
  const clip = clipId({ number, key })
  if (op === 'attributes') return { seq, op, clip, attributes: clipAttributes(row) }
  if (!modality || !vector) return undefined
  const attributes = prefixed('label', JSON.parse(row.labels ?? '{}'))
  return { seq, op, segment, clip, modality, vector: toVector(vector), attributes }
}

const clipAttributes = (row: ChangeRow): Attributes => ({
  path: row.path,
  seconds: row.seconds,
  addedAt: row.indexed_at,
  hasAudio: row.has_audio === 1,
  hasVisual: row.has_visual === 1,
  ...prefixed('meta', JSON.parse(row.metadata)),
})

const prefixed = (prefix: string, values: Attributes): Attributes =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]))

// Little-endian, as is every machine that the encoder runs on. A blob may start anywhere in its buffer and a
// Float32Array only at a multiple of four: hence the copy.
export const toVector = (blob: Buffer): UnitVector =>
  new Float32Array(new Uint8Array(blob).buffer) as UnitVector

export const toBlob = (vector: UnitVector): Buffer => Buffer.from(new Float32Array(vector).buffer)
