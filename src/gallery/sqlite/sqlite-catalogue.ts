import { basename, dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import type { Clip, EncodedSegment, Label } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId, SegmentId, Seq } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import { checkEmbedding, type UnitVector } from '../../domain/vector.js'
import { AppError } from '../../errors.js'
import type { ItemEnd, Lease } from '../../jobs/jobs.js'
import { DiskReserve } from '../../storage/disk-reserve.js'
import type {
  Catalogue,
  ChangePage,
  Counts,
  Failure,
  HashedFile,
  MovedFile,
  NewClip,
  SegmentOfClip,
  TaggedSpan,
} from '../catalogue/catalogue.js'
import { newClipKey, parseClipId } from '../catalogue/clip-id.js'
import { ChangeLog } from './change-log.js'
import { prepareJobs } from './job-statements.js'
import { mapSqliteErrors } from './map-sqlite-errors.js'
import { openDatabase, type SqliteOptions } from './open-database.js'
import {
  type ClipRow,
  type SpanRow,
  toBlob,
  toClip,
  toFailure,
  toSegment,
  toSpan,
  toVector,
} from './rows.js'
import { SqliteFiles } from './sqlite-files.js'
import { SqliteJobs } from './sqlite-jobs.js'
import { SqliteQueue } from './sqlite-queue.js'
import { prepare, type Statements } from './statements.js'

/** The catalogue in one SQLite file. Several processes may open it; one writes at a time. */
export class SqliteCatalogue implements Catalogue {
  readonly files: SqliteFiles
  readonly jobs: SqliteJobs
  readonly queue: SqliteQueue
  readonly #db: Database
  readonly #dimension: number
  readonly #sql: Statements
  readonly #log: ChangeLog
  readonly #reserve: DiskReserve

  static async open(options: SqliteOptions): Promise<SqliteCatalogue> {
    return new SqliteCatalogue(openDatabase(options), options.header.dimension)
  }

  private constructor(db: Database, dimension: number) {
    this.#db = db
    this.#dimension = dimension
    this.#sql = prepare(db)
    const jobs = prepareJobs(db)
    this.files = new SqliteFiles(db)
    this.#reserve = new DiskReserve(join(dirname(db.name), 'reserve'))
    this.jobs = new SqliteJobs(db, jobs, this.#reserve)
    this.queue = new SqliteQueue(db, { ...jobs, insertFailure: this.#sql.insertFailure })
    this.#log = new ChangeLog(db)
  }

  async put(clip: NewClip, segments: readonly EncodedSegment[], end?: ItemEnd): Promise<Clip> {
    this.#check(segments)
    this.#reserve.fill()
    return this.#write(() => {
      const row = this.#putClip({ ...clip, ...hasModality(segments) })
      for (const segment of segments) this.#putSegment(row.number, segment)
      if (end) this.queue.settleItem(end)
      return toClip(row)
    })
  }

  async copy(like: Clip, file: HashedFile, end?: ItemEnd): Promise<Clip | undefined> {
    return this.#write(() => {
      const source = this.#clipRow(like.id)
      if (source?.hash !== file.hash) return undefined
      const row = this.#putClip({ ...file, ...sharedColumns(source) })
      this.#copySegments(source, row.number)
      if (end) this.queue.settleItem(end)
      return toClip(row)
    })
  }

  async adopt(clip: Clip, segments: readonly EncodedSegment[]): Promise<void> {
    this.#check(segments)
    this.#write(() => {
      const number = this.#adoptClip({ ...clip, ...hasModality(segments) })
      for (const segment of segments) this.#putSegment(number, segment)
    })
  }

  async adoptCopy(clip: Clip, like: Clip): Promise<boolean> {
    return this.#write(() => {
      const source = this.#clipRow(like.id)
      if (source?.hash !== clip.hash) return false
      this.#copySegments(source, this.#adoptClip({ ...clip, ...sharedColumns(source) }))
      return true
    })
  }

  async touch(id: ClipId, { bytes, mtimeMs }: FileStat, end?: ItemEnd): Promise<void> {
    const parts = parseClipId(id)
    this.#write(() => {
      const touched = parts && this.#sql.touchClip.run({ ...parts, bytes, mtimeMs }).changes > 0
      if (!touched) throw new AppError('CLIP_NOT_FOUND', `Expected the id of a clip, got ${id}`)
      if (end) this.queue.settleItem(end)
    })
  }

  async move(
    { id, path: from }: Clip,
    { path, name, bytes, mtimeMs }: MovedFile,
    end?: ItemEnd,
  ): Promise<Clip | undefined> {
    const parts = parseClipId(id)
    if (!parts) return undefined
    return this.#write(() => {
      const row = this.#sql.moveClip.get({
        ...parts,
        from,
        path,
        name: nameColumn({ path, name }),
        bytes,
        mtimeMs,
      })
      if (!row) return undefined
      this.#sql.deleteFailure.run(path)
      if (end) this.queue.settleItem(end)
      return toClip(row)
    })
  }

  async remove(id: ClipId): Promise<boolean> {
    const remove = () =>
      this.#write(() => {
        const row = this.#clipRow(id)
        return row !== undefined && this.#removeClip(row.number)
      })
    return this.#reserve.use(remove) // a full disk must not keep a clip from being removed
  }

  async fail({ mtimeMs, ...failure }: Omit<Failure, 'failedAt'>, lease?: Lease): Promise<void> {
    this.#write(() => {
      this.#sql.insertFailure.run({
        ...failure,
        mtime_ms: mtimeMs,
        failed_at: new Date().toISOString(),
      })
      if (lease) this.queue.settleFailed(lease, failure)
    })
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

  async clips({
    after,
    limit,
  }: {
    readonly after?: ClipId | undefined
    readonly limit: number
  }): Promise<Clip[]> {
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
    return new Map(
      this.#sql.segmentsById.all(JSON.stringify(ids)).map((row) => [row.id, toSegment(row)]),
    )
  }

  async segmentIds(clip: ClipId): Promise<SegmentId[]> {
    const parts = parseClipId(clip)
    return parts ? this.#sql.segmentsOfClip.all(parts.number, parts.key).map(({ id }) => id) : []
  }

  async embeddings(clip: ClipId, modality: Modality): Promise<UnitVector[]> {
    const parts = parseClipId(clip)
    if (!parts) return []
    return this.#sql.embeddingsOfClip
      .all(parts.number, parts.key, modality)
      .map(({ vector }) => toVector(vector))
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
      for (const { modality, count } of this.#sql.embeddingCounts.all())
        embeddings[modality] = count
      return { ...counts, embeddings }
    })()
  }

  async head(): Promise<Seq> {
    return this.#log.head()
  }

  async changes(after: Seq, limit: number): Promise<ChangePage> {
    return this.#log.changes(after, limit)
  }

  async historyTokenAt(seq: Seq): Promise<string | undefined> {
    return this.#log.historyTokenAt(seq)
  }

  compact(upTo: Seq): Promise<void> {
    return this.#log.compact(upTo)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close()
  }

  // IMMEDIATE, for a transaction that reads first and then finds another process writing fails at once, without waiting.
  #write<T>(work: () => T): T {
    return mapSqliteErrors(() => this.#db.transaction(work).immediate())
  }

  #clipRow(id: ClipId) {
    const parts = parseClipId(id)
    return parts && this.#sql.clip.get(parts.number, parts.key)
  }

  /** The row of a clip that has no segments yet, in place of what stood at its path. */
  #putClip(clip: NewClip & HasModality): ClipRow {
    const row = this.#sql.insertClip.get({
      key: newClipKey(),
      ...columns(clip),
      quick_hash: clip.quickHash ?? null,
    })
    if (!row) throw new AppError('INTERNAL', `SQLite did not return the clip put at ${clip.path}`)
    this.#dropSegments(row.number)
    this.#sql.deleteFailure.run(clip.path)
    return row
  }

  /** The number of a clip that has no segments yet, under its id, in place of what is in its way. */
  #adoptClip(clip: Clip): number {
    const parts = parseClipId(clip.id)
    if (!parts) throw new AppError('CLIP_NOT_FOUND', `Expected the id of a clip, got ${clip.id}`)
    for (const { number } of this.#sql.clipsInTheWay.all({ ...parts, path: clip.path }))
      this.#removeClip(number)
    this.#sql.adoptClip.run({ ...parts, ...columns(clip) })
    this.#sql.deleteFailure.run(clip.path)
    return parts.number
  }

  #copySegments(source: ClipRow, clip: number): void {
    for (const span of this.#sql.segmentsOfClip.all(source.number, source.key))
      this.#copySegment(clip, span)
  }

  #copySegment(clip: number, { id: from, start_s, end_s }: SpanRow): void {
    const to = this.#sql.insertSegment.get(clip, start_s, end_s)?.id
    if (to === undefined) throw new AppError('INTERNAL', 'SQLite did not return the segment put')
    for (const { modality } of this.#sql.copyEmbeddings.all({ from, to }))
      this.#sql.logPut.run(to, modality)
    this.#sql.copyTags.run({ from, to })
  }

  #check(segments: readonly EncodedSegment[]): void {
    for (const { embeddings } of segments) {
      for (const vector of Object.values(embeddings)) checkEmbedding(vector, this.#dimension)
    }
  }

  #removeClip(clip: number): boolean {
    this.#dropSegments(clip)
    return this.#sql.deleteClip.run(clip).changes > 0
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

type HasModality = Pick<Clip, 'hasAudio' | 'hasVisual'>

const hasModality = (segments: readonly EncodedSegment[]): HasModality => ({
  hasAudio: segments.some(({ embeddings }) => embeddings.audio),
  hasVisual: segments.some(({ embeddings }) => embeddings.visual),
})

/** What a clip of the same content has of another. */
function sharedColumns(
  source: ClipRow,
): Pick<Clip, 'seconds' | 'notes' | 'hasAudio' | 'hasVisual'> {
  const { seconds, notes, hasAudio, hasVisual } = toClip(source)
  return { seconds, notes, hasAudio, hasVisual }
}

const columns = (clip: NewClip & HasModality): Omit<ClipRow, 'number' | 'key'> => ({
  path: clip.path,
  name: nameColumn(clip),
  hash: clip.hash,
  bytes: clip.bytes,
  mtime_ms: clip.mtimeMs,
  seconds: clip.seconds,
  has_audio: clip.hasAudio ? 1 : 0,
  has_visual: clip.hasVisual ? 1 : 0,
  notes: JSON.stringify(clip.notes),
  indexed_at: new Date().toISOString(),
})

/** A name is kept only where the path does not end in it, since a file may be moved. */
const nameColumn = ({ path, name }: Pick<NewClip, 'path' | 'name'>): string | null =>
  name === undefined || name === basename(path) ? null : name
