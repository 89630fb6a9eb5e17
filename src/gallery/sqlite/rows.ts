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

/** The columns of a clip. */
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

/** Returns the clip of a row. */
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

/** The columns of a segment with the id parts of its clip. */
export interface SegmentRow {
  id: SegmentId
  number: number
  key: string
  start_s: number
  end_s: number
}

/** Returns the segment of a row. */
export const toSegment = (row: SegmentRow): SegmentOfClip => ({
  id: row.id,
  clip: clipId(row),
  start: row.start_s,
  end: row.end_s,
})

/** The columns of a time span, in seconds. */
export interface SpanRow {
  id: SegmentId
  start_s: number
  end_s: number
}

/** Returns the span of a row. */
export const toSpan = (row: SpanRow): Span => ({ start: row.start_s, end: row.end_s })

/** The columns of an event. */
export interface EventRow {
  mid: string
  name: string
  start_s: number
  end_s: number
  probability: number
  source: ClipEvent['source']
}

/** Returns the event of a row. */
export const toEvent = ({ start_s, end_s, ...row }: EventRow): ClipEvent => ({
  ...row,
  start: start_s,
  end: end_s,
})

/** The columns of a failure. */
export interface FailureRow {
  path: string
  code: string
  detail: string
  bytes: number
  mtime_ms: number
  failed_at: string
}

/** Returns the failure of a row. */
export const toFailure = ({ mtime_ms, failed_at, ...row }: FailureRow): Failure => ({
  ...row,
  mtimeMs: mtime_ms,
  failedAt: failed_at,
})

/** The columns of a change, with its vector and its clip. */
export interface ChangeRow {
  seq: Seq
  op: 'put' | 'drop' | 'attributes'
  segment: SegmentId
  modality: Modality | null
  vector: Buffer | null
  labels: string | null // JSON: probability by mid
  number: number | null // this and the columns below are NULL if the clip was removed
  key: string
  path: string
  seconds: number
  indexed_at: string
  has_audio: number
  has_visual: number
  metadata: string
}

/**
 * Returns the change of a row. Returns undefined if a later change deleted the vector or the clip.
 */
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

/**
 * Returns the vector of a blob. Blobs are little-endian, like all machines that the encoder
 * supports. It copies the blob: a Float32Array must start at a multiple of four bytes, and a blob
 * can start anywhere.
 */
export const toVector = (blob: Buffer): UnitVector =>
  new Float32Array(new Uint8Array(blob).buffer) as UnitVector

/** Returns the blob of a vector, as little-endian float32. */
export const toBlob = (vector: UnitVector): Buffer => Buffer.from(new Float32Array(vector).buffer)
