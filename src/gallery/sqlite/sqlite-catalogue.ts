import type { Database } from 'better-sqlite3'
import {
  type Clip,
  type ClipId,
  type EncodedSegment,
  type Label,
  MODALITIES,
  type Modality,
  type SegmentId,
  type Seq,
  type UnitVector,
} from '../../domain.js'
import { AppError } from '../../errors.js'
import type {
  Catalogue,
  ChangePage,
  Counts,
  Failure,
  FileFacts,
  NewClip,
  SegmentOfClip,
  TaggedSpan,
} from '../catalogue.js'
import { newClipKey, parseClipId } from '../clip-id.js'
import { checkEmbedding } from '../embedding.js'
import { openDatabase, type SqliteOptions } from './open.js'
import { toBlob, toChange, toClip, toFailure, toSegment, toSpan, toVector } from './rows.js'
import { prepare, type Statements } from './statements.js'

/** The catalogue in one SQLite file. Several processes may open it; one writes at a time. */
export class SqliteCatalogue implements Catalogue {
  readonly #db: Database
  readonly #dimension: number
  readonly #sql: Statements

  static async open(options: SqliteOptions): Promise<SqliteCatalogue> {
    return new SqliteCatalogue(openDatabase(options), options.stamp.dimension)
  }

  private constructor(db: Database, dimension: number) {
    this.#db = db
    this.#dimension = dimension
    this.#sql = prepare(db)
  }

  async put(clip: NewClip, segments: readonly EncodedSegment[]): Promise<Clip> {
    for (const { embeddings } of segments) {
      for (const vector of Object.values(embeddings)) checkEmbedding(vector, this.#dimension)
    }
    return this.#write(() => {
      const row = this.#sql.insertClip.get({
        key: newClipKey(),
        path: clip.path,
        hash: clip.hash,
        bytes: clip.bytes,
        mtime_ms: clip.mtimeMs,
        seconds: clip.seconds,
        has_audio: segments.some(({ embeddings }) => embeddings.audio) ? 1 : 0,
        has_visual: segments.some(({ embeddings }) => embeddings.visual) ? 1 : 0,
        notes: JSON.stringify(clip.notes),
        indexed_at: new Date().toISOString(),
      })
      if (!row) throw new AppError('INTERNAL', `SQLite did not return the clip put at ${clip.path}`)
      this.#dropSegments(row.number)
      for (const segment of segments) this.#putSegment(row.number, segment)
      this.#sql.deleteFailure.run(clip.path)
      return toClip(row)
    })
  }

  async touch(id: ClipId, { bytes, mtimeMs }: FileFacts): Promise<void> {
    const parts = parseClipId(id)
    const touched = parts && this.#sql.touchClip.run({ ...parts, bytes, mtimeMs }).changes > 0
    if (!touched) throw new AppError('CLIP_NOT_FOUND', `Expected the id of a clip, got ${id}`)
  }

  async move({ id, path: from }: Clip, file: FileFacts & { readonly path: string }): Promise<Clip | undefined> {
    const parts = parseClipId(id)
    if (!parts) return undefined
    return this.#write(() => {
      const row = this.#sql.moveClip.get({ ...parts, from, ...file })
      if (!row) return undefined
      this.#sql.deleteFailure.run(file.path)
      return toClip(row)
    })
  }

  async remove(id: ClipId): Promise<boolean> {
    return this.#write(() => {
      const row = this.#clipRow(id)
      if (!row) return false
      this.#dropSegments(row.number)
      return this.#sql.deleteClip.run(row.number).changes > 0
    })
  }

  async fail({ mtimeMs, ...failure }: Omit<Failure, 'failedAt'>): Promise<void> {
    this.#sql.insertFailure.run({ ...failure, mtime_ms: mtimeMs, failed_at: new Date().toISOString() })
  }

  async clip(id: ClipId): Promise<Clip | undefined> {
    const row = this.#clipRow(id)
    return row && toClip(row)
  }

  async clipAt(path: string): Promise<Clip | undefined> {
    const row = this.#sql.clipAt.get(path)
    return row && toClip(row)
  }

  async clipsWithHash(hash: string): Promise<Clip[]> {
    return this.#sql.clipsWithHash.all(hash).map(toClip)
  }

  async clips({ after, limit }: { readonly after?: ClipId | undefined; readonly limit: number }): Promise<Clip[]> {
    const from = after === undefined ? { number: 0 } : parseClipId(after)
    if (!from) throw new AppError('CLIP_NOT_FOUND', `Expected the id of a clip, got ${after}`)
    return this.#sql.clips.all(from.number, limit).map(toClip)
  }

  async clipsById(ids: readonly ClipId[]): Promise<ReadonlyMap<ClipId, Clip>> {
    const wanted = new Set(ids)
    const numbers = ids.flatMap((id) => parseClipId(id)?.number ?? [])
    const clips = this.#sql.clipsByNumber.all(JSON.stringify(numbers)).map(toClip)
    return new Map(clips.filter(({ id }) => wanted.has(id)).map((clip) => [clip.id, clip]))
  }

  async segmentsById(ids: readonly SegmentId[]): Promise<ReadonlyMap<SegmentId, SegmentOfClip>> {
    return new Map(this.#sql.segmentsById.all(JSON.stringify(ids)).map((row) => [row.id, toSegment(row)]))
  }

  async segmentIds(clip: ClipId): Promise<SegmentId[]> {
    const parts = parseClipId(clip)
    return parts ? this.#sql.segmentsOfClip.all(parts.number, parts.key).map(({ id }) => id) : []
  }

  async embeddings(clip: ClipId, modality: Modality): Promise<UnitVector[]> {
    const parts = parseClipId(clip)
    if (!parts) return []
    return this.#sql.embeddingsOfClip.all(parts.number, parts.key, modality).map(({ vector }) => toVector(vector))
  }

  async tags(clip: ClipId): Promise<TaggedSpan[]> {
    const parts = parseClipId(clip)
    if (!parts) return []
    const labels = new Map<SegmentId, Label[]>()
    for (const { segment, ...label } of this.#sql.tagsOfClip.all(parts.number, parts.key)) {
      const others = labels.get(segment)
      if (others) others.push(label)
      else labels.set(segment, [label])
    }
    const spans = this.#sql.segmentsOfClip.all(parts.number, parts.key)
    return spans.map((row) => ({ ...toSpan(row), labels: labels.get(row.id) ?? [] }))
  }

  async failures({ limit }: { readonly limit: number }): Promise<Failure[]> {
    return this.#sql.failures.all(limit).map(toFailure)
  }

  async failureAt(path: string): Promise<Failure | undefined> {
    const row = this.#sql.failureAt.get(path)
    return row && toFailure(row)
  }

  async counts(): Promise<Counts> {
    return this.#db.transaction((): Counts => {
      const counts = this.#sql.counts.get()
      if (!counts) throw new AppError('INTERNAL', 'SQLite did not count')
      const embeddings = { audio: 0, visual: 0 }
      for (const { modality, count } of this.#sql.embeddingCounts.all()) embeddings[modality] = count
      return { ...counts, embeddings }
    })()
  }

  async head(): Promise<Seq> {
    return this.#sql.head.get()?.head ?? 0
  }

  async changes(after: Seq, limit: number): Promise<ChangePage> {
    const rows = this.#sql.changes.all(after, limit)
    return { changes: rows.flatMap((row) => toChange(row) ?? []), cursor: rows.at(-1)?.seq ?? after }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close()
  }

  // IMMEDIATE, for a transaction that reads first and then finds another process writing fails at once, without waiting.
  #write<T>(work: () => T): T {
    return this.#db.transaction(work).immediate()
  }

  #clipRow(id: ClipId) {
    const parts = parseClipId(id)
    return parts && this.#sql.clip.get(parts.number, parts.key)
  }

  #dropSegments(clip: number): void {
    this.#sql.logDropsOfClip.run(clip)
    this.#sql.deleteSegmentsOfClip.run(clip)
  }

  #putSegment(clip: number, { start, end, embeddings, labels }: EncodedSegment): void {
    const segment = this.#sql.insertSegment.get(clip, start, end)
    if (!segment) throw new AppError('INTERNAL', 'SQLite did not return the segment put')
    for (const modality of MODALITIES) {
      const vector = embeddings[modality]
      if (!vector) continue
      this.#sql.insertEmbedding.run(segment.id, modality, toBlob(vector))
      this.#sql.logPut.run(segment.id, modality)
    }
    for (const { mid, name, probability } of labels) {
      this.#sql.insertLabel.run(mid, name)
      this.#sql.insertTag.run(segment.id, probability, mid)
    }
  }
}
