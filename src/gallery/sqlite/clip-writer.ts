import { basename } from 'node:path'
import type { Database } from 'better-sqlite3'
import type { Clip, EncodedSegment } from '../../domain/clip.js'
import type { ClipId } from '../../domain/ids.js'
import { MODALITIES } from '../../domain/modality.js'
import { AppError } from '../../errors.js'
import type { CatalogueChange, NewClip } from '../catalogue/changes.js'
import { newClipKey, parseClipId } from '../catalogue/clip-id.js'
import { type ClipRow, type SpanRow, toBlob, toClip } from './rows.js'
import type { SqliteQueue } from './sqlite-queue.js'
import { prepare, type Statements } from './statements.js'

type ChangeOf<Type extends CatalogueChange['type']> = Extract<
  CatalogueChange,
  { readonly type: Type }
>

/** Writes changes to clips, segments and failures within the transaction of the caller. */
export class ClipWriter {
  readonly #sql: Statements

  constructor(
    db: Database,
    private readonly queue: SqliteQueue,
  ) {
    this.#sql = prepare(db)
  }

  /**
   * Writes one change. Returns the clip if the change added, copied or moved one. Throws Conflict
   * or LeaseLost.
   */
  write(change: CatalogueChange): Clip | undefined {
    switch (change.type) {
      case 'putClip':
        return toClip(this.#put(change))
      case 'copyClip':
        return toClip(this.#copy(change))
      case 'moveClip':
        return toClip(this.#move(change))
      case 'touchClip':
        return this.#touch(change)
      case 'removeClip':
        return this.#remove(change)
      case 'setMetadata':
        return this.#setMetadata(change)
      case 'putEvents':
        return this.#putEvents(change)
      case 'setMissing':
        return this.#setMissing(change)
      case 'recordFailure':
        return this.#recordFailure(change)
      case 'clearFailure':
        return void this.#sql.deleteFailure.run(change.path)
      case 'endItem':
        return this.queue.endItem(change.end)
    }
  }

  #put({ clip, segments, id }: ChangeOf<'putClip'>): ClipRow {
    const row = this.#insert({ ...clip, ...hasModality(segments) }, id)
    for (const segment of segments) this.#insertSegment(row.number, segment)
    return row
  }

  #copy(change: ChangeOf<'copyClip'>): ClipRow {
    const { from, file, id } = change
    const source = this.#rowOf(from)
    if (!source || source.hash !== file.hash) throw new Conflict(change)
    const { seconds, notes, hasAudio, hasVisual } = toClip(source)
    const row = this.#insert({ ...file, seconds, notes, hasAudio, hasVisual }, id)
    for (const span of this.#sql.segmentsOfClip.all(source.number, source.key)) {
      this.#copySegment(row.number, span)
    }
    return row
  }

  #move(change: ChangeOf<'moveClip'>): ClipRow {
    const { path, bytes, mtimeMs } = change.file
    const parts = parseClipId(change.id)
    const row =
      parts &&
      this.#sql.moveClip.get({
        ...parts,
        from: change.ifPath,
        path,
        name: nameColumn(change.file),
        bytes,
        mtimeMs,
      })
    if (!row) throw new Conflict(change)
    this.#sql.logAttributes.run(row.number)
    return row
  }

  #touch(change: ChangeOf<'touchClip'>): undefined {
    const { bytes, mtimeMs } = change.file
    const parts = parseClipId(change.id)
    const isTouched = parts && this.#sql.touchClip.run({ ...parts, bytes, mtimeMs }).changes > 0
    if (!isTouched) throw new Conflict(change)
  }

  #remove(change: ChangeOf<'removeClip'>): undefined {
    const row = this.#rowOf(change.id)
    if (!row) throw new Conflict(change)
    this.#delete(row.number)
  }

  #setMetadata(change: ChangeOf<'setMetadata'>): undefined {
    const row = this.#rowOf(change.id)
    if (!row) throw new Conflict(change)
    this.#sql.setMetadata.run({ ...row, metadata: JSON.stringify(change.metadata) })
    this.#sql.logAttributes.run(row.number)
  }

  #putEvents(change: ChangeOf<'putEvents'>): undefined {
    const row = this.#rowOf(change.id)
    if (!row) throw new Conflict(change)
    this.#sql.deleteEventsOfClip.run(row.number)
    for (const { start, end, ...event } of change.events) {
      this.#sql.insertLabel.run(event.mid, event.name)
      this.#sql.insertEvent.run({ ...event, clip: row.number, start_s: start, end_s: end })
    }
  }

  #setMissing({ ids, missing }: ChangeOf<'setMissing'>): undefined {
    const numbers = JSON.stringify(ids.flatMap((id) => parseClipId(id)?.number ?? []))
    this.#sql.setMissing.run({ since: missing ? new Date().toISOString() : null, numbers })
  }

  #recordFailure({ failure }: ChangeOf<'recordFailure'>): undefined {
    const { mtimeMs, ...rest } = failure
    const failed_at = new Date().toISOString()
    this.#sql.insertFailure.run({ ...rest, mtime_ms: mtimeMs, failed_at })
  }

  #rowOf(id: ClipId): ClipRow | undefined {
    const parts = parseClipId(id)
    return parts && this.#sql.clip.get(parts.number, parts.key)
  }

  /** Writes the row of a clip without segments and returns it. */
  #insert(clip: NewClip & HasModality, id: ClipId | undefined): ClipRow {
    const row = id === undefined ? this.#insertNew(clip) : this.#insertWithId(clip, id)
    if (!row) throw new AppError('INTERNAL', `SQLite did not return the clip added at ${clip.path}`)
    this.#deleteSegments(row.number)
    this.#sql.logAttributes.run(row.number)
    return row
  }

  #insertNew(clip: NewClip & HasModality): ClipRow | undefined {
    return this.#sql.insertClip.get({ key: newClipKey(), ...columns(clip) })
  }

  #insertWithId(clip: NewClip & HasModality, id: ClipId): ClipRow | undefined {
    const parts = parseClipId(id)
    if (!parts) throw new AppError('CLIP_NOT_FOUND', `Expected the id of a clip, got ${id}`)
    for (const { number } of this.#sql.conflictingClips.all({ ...parts, path: clip.path })) {
      this.#delete(number)
    }
    return this.#sql.importClip.get({ ...parts, ...columns(clip) })
  }

  #copySegment(clip: number, { id: from, start_s, end_s }: SpanRow): void {
    const to = this.#sql.insertSegment.get(clip, start_s, end_s)?.id
    if (to === undefined) throw new AppError('INTERNAL', 'SQLite did not return the added segment')
    for (const { modality } of this.#sql.copyEmbeddings.all({ from, to })) {
      this.#sql.logPut.run(to, modality, clip)
    }
    this.#sql.copyTags.run({ from, to })
  }

  #insertSegment(clip: number, { start, end, embeddings, labels }: EncodedSegment): void {
    const segment = this.#sql.insertSegment.get(clip, start, end)
    if (!segment) throw new AppError('INTERNAL', 'SQLite did not return the added segment')
    for (const modality of MODALITIES) {
      const vector = embeddings[modality]
      if (!vector) continue
      this.#sql.insertEmbedding.run(segment.id, modality, toBlob(vector))
      this.#sql.logPut.run(segment.id, modality, clip)
    }
    for (const { mid, name, probability } of labels) {
      this.#sql.insertLabel.run(mid, name)
      this.#sql.insertTag.run(segment.id, probability, mid)
    }
  }

  #delete(clip: number): void {
    this.#deleteSegments(clip)
    this.#sql.deleteClip.run(clip)
  }

  #deleteSegments(clip: number): void {
    this.#sql.logDropsOfClip.run(clip)
    this.#sql.deleteSegmentsOfClip.run(clip)
  }
}

/** The precondition of a change does not hold. This error rolls the transaction back. */
export class Conflict extends Error {
  override readonly name = 'Conflict'

  constructor(readonly change: CatalogueChange) {
    super(`The precondition of ${change.type} does not hold`)
  }
}

type HasModality = Pick<Clip, 'hasAudio' | 'hasVisual'>

const hasModality = (segments: readonly EncodedSegment[]): HasModality => ({
  hasAudio: segments.some(({ embeddings }) => embeddings.audio),
  hasVisual: segments.some(({ embeddings }) => embeddings.visual),
})

const columns = (clip: NewClip & HasModality) => ({
  path: clip.path,
  name: nameColumn(clip),
  hash: clip.hash ?? '',
  quick_hash: clip.quickHash ?? null,
  bytes: clip.bytes,
  mtime_ms: clip.mtimeMs,
  seconds: clip.seconds,
  has_audio: clip.hasAudio ? 1 : 0,
  has_visual: clip.hasVisual ? 1 : 0,
  notes: JSON.stringify(clip.notes),
  indexed_at: new Date().toISOString(),
  metadata: JSON.stringify(clip.metadata ?? {}),
})

/**
 * Returns the name column. The name is stored only if the path does not end in it: a move can
 * change the path.
 */
const nameColumn = ({ path, name }: Pick<NewClip, 'path' | 'name'>): string | null =>
  name === undefined || name === basename(path) ? null : name
