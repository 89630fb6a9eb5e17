import type { Attributes } from '../../../domain/attributes.js'
import type { ClipId } from '../../../domain/ids.js'
import type { Comparison, Filter } from '../../vector/filter.js'
import { Bitmap } from '../bitmap.js'
import type { ColumnReader, ColumnWriter } from '../column-file.js'
import type { Row } from '../segment-table.js'
import { grown } from '../typed-arrays.js'
import { AttributeTable } from './attribute-table.js'
import { ClipSlots } from './clip-slots.js'

const NONE = -1

/** The attributes of the segments of an index and of their clips. */
export class SegmentAttributes {
  readonly #rows = new Bitmap()
  #clipOf: Int32Array = new Int32Array(0) // by row: the slot of the clip
  #segmentsOf: Int32Array = new Int32Array(0) // by slot: how many rows
  #unused = new Set<number>() // slots without segments at the last call of forgetUnused

  constructor(
    private readonly own = new AttributeTable(),
    private readonly clips = new AttributeTable(),
    private readonly slots = new ClipSlots(),
  ) {}

  /** Reads attributes that `save` wrote. */
  static load(reader: ColumnReader): SegmentAttributes {
    const clipOf = reader.int32()
    const [own, clips] = [AttributeTable.load(reader), AttributeTable.load(reader)]
    const loaded = new SegmentAttributes(own, clips, ClipSlots.load(reader))
    for (const [row, slot] of clipOf.entries()) if (slot !== NONE) loaded.#link(row, slot)
    return loaded
  }

  /** Replaces the attributes of a clip. */
  setClip(clip: ClipId, attributes: Attributes): void {
    this.clips.set(this.slots.add(clip), attributes)
  }

  /** Replaces the attributes of a segment and its clip. */
  setSegment(row: Row, clip: ClipId, attributes: Attributes): void {
    this.own.set(row, attributes)
    const slot = this.slots.add(clip)
    if (this.#clipOf[row] === slot) return
    this.#unlink(row)
    this.#link(row, slot)
  }

  /** Removes the segment. Removes its clip if the clip has no other segments. */
  dropSegment(row: Row): void {
    this.own.clear(row)
    this.#unlink(row)
  }

  /**
   * Removes clips that had no segments at the previous call and have none now. Compaction can
   * remove the puts of such a clip from the log before the index reads them.
   */
  forgetUnused(): void {
    const isUnused = (slot: number) => !this.#segmentsOf[slot]
    for (const slot of [...this.#unused].filter(isUnused)) this.#forgetClip(slot)
    this.#unused = new Set([...this.slots.all()].filter(isUnused))
  }

  /**
   * Returns the rows that satisfy the filter. It gives the same results as `matches` of filter.ts.
   */
  select(filter: Filter): Bitmap {
    switch (filter.op) {
      case 'and':
        return filter.filters.reduce((all, each) => all.and(this.select(each)), this.#rows)
      case 'or':
        return filter.filters.reduce((any, each) => any.or(this.select(each)), new Bitmap())
      case 'not':
        return this.#rows.without(this.select(filter.filter))
      case 'exists':
        return this.#find(filter.attribute, (table) => table.having(filter.attribute))
      case 'ne':
        return this.#rows.without(this.#satisfying({ ...filter, op: 'eq' }))
      default:
        return this.#satisfying(filter)
    }
  }

  /** Writes the attributes of segments and clips. */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(this.#clipOf)
    for (const part of [this.own, this.clips, this.slots]) await part.save(writer)
  }

  #satisfying(filter: Comparison): Bitmap {
    return this.#find(filter.attribute, (table) => table.satisfying(filter))
  }

  /**
   * Finds rows by their own attribute. Uses the attribute of the clip if the segment does not have
   * that name.
   */
  #find(name: string, find: (table: AttributeTable) => Bitmap): Bitmap {
    const own = find(this.own)
    if (!this.clips.has(name)) return own
    const inherited = find(this.clips).placesIn(this.#clipOf)
    return own.or(this.own.has(name) ? inherited.without(this.own.having(name)) : inherited)
  }

  #link(row: Row, slot: number): void {
    this.#clipOf = grown(this.#clipOf, row + 1, NONE)
    this.#segmentsOf = grown(this.#segmentsOf, slot + 1)
    this.#clipOf[row] = slot
    this.#segmentsOf[slot] = (this.#segmentsOf[slot] as number) + 1
    this.#rows.add(row)
  }

  #unlink(row: Row): void {
    const slot = this.#clipOf[row] ?? NONE
    if (slot === NONE) return
    this.#clipOf[row] = NONE
    this.#rows.delete(row)
    const left = (this.#segmentsOf[slot] as number) - 1
    this.#segmentsOf[slot] = left
    if (left === 0) this.#forgetClip(slot)
  }

  #forgetClip(slot: number): void {
    this.clips.clear(slot)
    this.slots.free(slot)
    this.#unused.delete(slot)
  }
}
