import type { SegmentId } from '../../domain/ids.js'
import type { ColumnReader, ColumnWriter } from './column-file.js'
import { grown } from './typed-arrays.js'

/**
 * The number of a segment in all columns of an index. It is reused after the segment is removed.
 */
export type Row = number

const FREE = -1 // segment id of a free row
const EMPTY = 0 // value of an empty slot; others are row + 1
const MIN_SLOTS = 64
const MAX_LOAD = 0.7 // maximum share of used slots

/**
 * Maps segments to rows. It is an open-addressing hash table of rows. A column stores the segment
 * of each row.
 */
export class SegmentTable {
  #ids: Float64Array = new Float64Array(0) // by row
  #rows: Row = 0 // used and free
  #free: Row[] = []
  #slots = new Int32Array(MIN_SLOTS) // row plus one

  /** Reads a table that `save` wrote. */
  static load(reader: ColumnReader): SegmentTable {
    const table = new SegmentTable()
    table.#ids = reader.float64()
    table.#rows = table.#ids.length
    table.#rehash()
    for (let row = 0; row < table.#rows; row++) {
      if (table.#ids[row] === FREE) table.#free.push(row)
    }
    return table
  }

  /** The number of rows, including free ones. */
  get rows(): number {
    return this.#rows
  }

  /** Returns the segment of a row. The row must be in use. */
  idOf(row: Row): SegmentId {
    return this.#ids[row] as SegmentId
  }

  /** Returns the row of a segment, or undefined if it has none. */
  rowOf(segment: SegmentId): Row | undefined {
    const row = this.#slots[this.#slotOf(segment)] as number
    return row === EMPTY ? undefined : row - 1
  }

  /** Returns the row of the segment. Assigns a new row if the segment has none. */
  add(segment: SegmentId): Row {
    const known = this.rowOf(segment)
    if (known !== undefined) return known
    const row = this.#free.pop() ?? this.#rows++
    this.#ids = grown(this.#ids, this.#rows)
    this.#ids[row] = segment
    if (this.#rows - this.#free.length > this.#slots.length * MAX_LOAD) this.#rehash()
    else this.#slots[this.#slotOf(segment)] = row + 1
    return row
  }

  /** Removes a segment and frees its row. */
  remove(segment: SegmentId): void {
    const slot = this.#slotOf(segment)
    const row = (this.#slots[slot] as number) - 1
    if (row < 0) return
    this.#close(slot)
    this.#ids[row] = FREE
    this.#free.push(row)
  }

  /** Writes the segments of all rows. */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(this.#ids.subarray(0, this.#rows))
  }

  /** Returns the slot of the segment, or the empty slot for it. */
  #slotOf(segment: SegmentId): number {
    const mask = this.#slots.length - 1
    for (let slot = hash(segment) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] as number
      if (row === EMPTY || this.#ids[row - 1] === segment) return slot
    }
  }

  /** Empties a slot and moves up the rows that it displaced. */
  #close(slot: number): void {
    const mask = this.#slots.length - 1
    let gap = slot
    for (let next = (gap + 1) & mask; this.#slots[next] !== EMPTY; next = (next + 1) & mask) {
      const row = this.#slots[next] as number
      const home = hash(this.#ids[row - 1] as number) & mask
      if (((next - home) & mask) < ((next - gap) & mask)) continue
      this.#slots[gap] = row
      gap = next
    }
    this.#slots[gap] = EMPTY
  }

  #rehash(): void {
    let length = MIN_SLOTS
    while (this.#rows > length * MAX_LOAD) length *= 2
    this.#slots = new Int32Array(length)
    for (let row = 0; row < this.#rows; row++) {
      const segment = this.#ids[row] as SegmentId
      if (segment !== FREE) this.#slots[this.#slotOf(segment)] = row + 1
    }
  }
}

/** Hashes ids to 32 bits. Ids are mostly consecutive. */
function hash(segment: SegmentId): number {
  let mixed = Math.imul((segment ^ (segment / 2 ** 32)) | 0, 0x9e3779b1)
  mixed ^= mixed >>> 15
  return mixed
}
