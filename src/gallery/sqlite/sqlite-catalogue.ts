import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import type { Clip, ClipEvent, EncodedSegment, Label } from '../../domain/clip.js'
import type { ClipId, SegmentId } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import { checkEmbedding, type UnitVector } from '../../domain/vector.js'
import { AppError } from '../../errors.js'
import { DiskReserve } from '../../storage/disk-reserve.js'
import type { Catalogue, Counts, SegmentOfClip, TaggedSpan } from '../catalogue/catalogue.js'
import type { CatalogueChange, CommitResult } from '../catalogue/changes.js'
import { parseClipId } from '../catalogue/clip-id.js'
import type { Failure } from '../catalogue/failure.js'
import { SqliteChangeLog } from './change-log.js'
import { ClipWriter, Conflict } from './clip-writer.js'
import { prepareJobs } from './job-statements.js'
import { openDatabase, type SqliteOptions } from './open-database.js'
import { toClip, toEvent, toFailure, toSegment, toSpan, toVector } from './rows.js'
import { SqliteFiles } from './sqlite-files.js'
import { SqliteJobs } from './sqlite-jobs.js'
import { SqliteQueue } from './sqlite-queue.js'
import { prepare, type Statements } from './statements.js'
import { writeTransaction } from './transaction.js'

/**
 * Stores the catalogue in one SQLite file. Several processes can open it. One process writes at a
 * time.
 */
export class SqliteCatalogue implements Catalogue {
  readonly files: SqliteFiles
  readonly jobs: SqliteJobs
  readonly queue: SqliteQueue
  readonly log: SqliteChangeLog
  readonly #db: Database
  readonly #dimension: number
  readonly #sql: Statements
  readonly #reserve: DiskReserve
  readonly #writer: ClipWriter

  /** Opens or creates the catalogue. Throws the errors of `openDatabase`. */
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
    this.queue = new SqliteQueue(db, { ...jobs, insertFailure: this.#sql.insertFailure }, this.jobs)
    this.log = new SqliteChangeLog(db)
    this.#writer = new ClipWriter(db, this.queue)
  }

  async commit(changes: readonly CatalogueChange[]): Promise<CommitResult> {
    for (const change of changes) if (change.type === 'putClip') this.#check(change.segments)
    try {
      const clips = this.#commit(changes)
      if (changes.some(({ type }) => type === 'endItem')) this.jobs.progressChanges.notify()
      return { isCommitted: true, clips }
    } catch (error) {
      if (error instanceof Conflict) return { isCommitted: false, conflict: error.change }
      throw error
    }
  }

  #commit(changes: readonly CatalogueChange[]): readonly Clip[] {
    const write = () => changes.flatMap((change) => this.#writer.write(change) ?? [])
    const commit = () => writeTransaction(this.#db, write)
    // Removal of clips must work on a full disk.
    if (changes.every(({ type }) => type === 'removeClip')) return this.#reserve.use(commit)
    if (changes.some(({ type }) => type === 'putClip')) this.#reserve.fill()
    return commit()
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

  async events(clip: ClipId): Promise<ClipEvent[]> {
    const parts = parseClipId(clip)
    return parts ? this.#sql.eventsOfClip.all(parts.number, parts.key).map(toEvent) : []
  }

  async failures({ limit }: { readonly limit: number }): Promise<Failure[]> {
    return this.#sql.failures.all(limit).map(toFailure)
  }

  async failureAt(path: string): Promise<Failure | undefined> {
    const row = this.#sql.failureAt.get(path)
    return row && toFailure(row)
  }

  async counts(): Promise<Counts> {
    const counters = new Map(this.#sql.counters.all().map(({ name, count }) => [name, count]))
    const countOf = (name: string) => counters.get(name) ?? 0
    return {
      clips: countOf('clips'),
      segments: countOf('segments'),
      embeddings: { audio: countOf('audio'), visual: countOf('visual') },
      failures: countOf('failures'),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close()
  }

  #clipRow(id: ClipId) {
    const parts = parseClipId(id)
    return parts && this.#sql.clip.get(parts.number, parts.key)
  }

  #check(segments: readonly EncodedSegment[]): void {
    for (const { embeddings } of segments) {
      for (const vector of Object.values(embeddings)) checkEmbedding(vector, this.#dimension)
    }
  }
}
