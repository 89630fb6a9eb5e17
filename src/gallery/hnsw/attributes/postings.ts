import type { ColumnReader, ColumnWriter } from '../column-file.js'
import { grown } from '../typed-arrays.js'
import { type CellTest, KIND, type Kind } from './cell.js'
import type { StringDictionary } from './string-dictionary.js'

/** The values of one attribute, ordered by record. */
export class Postings {
  #records: Int32Array = new Int32Array(0)
  #kinds: Uint8Array = new Uint8Array(0)
  #values: Float64Array = new Float64Array(0)
  #count = 0

  /** Reads postings that `save` wrote. */
  static load(reader: ColumnReader): Postings {
    const postings = new Postings()
    postings.#records = reader.int32()
    postings.#kinds = reader.uint8()
    postings.#values = reader.float64()
    postings.#count = postings.#records.length
    return postings
  }

  /** The number of values. */
  get count(): number {
    return this.#count
  }

  /** Appends a value. The record must be greater than all earlier ones. */
  push(record: number, kind: number, value: number): void {
    const at = this.#count++
    this.#records = grown(this.#records, this.#count)
    this.#kinds = grown(this.#kinds, this.#count)
    this.#values = grown(this.#values, this.#count)
    this.#records[at] = record
    this.#kinds[at] = kind
    this.#values[at] = value
  }

  /** Returns whether the record has this value. */
  has(record: number, kind: Kind, value: number): boolean {
    let from = 0
    let to = this.#count
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#records[middle] as number) < record) from = middle + 1
      else to = middle
    }
    const isFound = from < this.#count && this.#records[from] === record
    return isFound && this.#kinds[from] === kind && Object.is(this.#values[from], value)
  }

  /**
   * Calls `visit` with each record whose value passes the test. If `test` is undefined, all records
   * pass.
   */
  select(test: CellTest | undefined, visit: (record: number) => void): void {
    for (let i = 0; i < this.#count; i++) {
      if (test?.(this.#kinds[i] as number, this.#values[i] as number) === false) continue
      visit(this.#records[i] as number)
    }
  }

  /**
   * Returns the postings with new record numbers and string codes. Omits records whose new number
   * is negative.
   */
  renumbered(recordOf: Int32Array, from: StringDictionary, to: StringDictionary): Postings {
    const postings = new Postings()
    for (let i = 0; i < this.#count; i++) {
      const record = recordOf[this.#records[i] as number] as number
      const [kind, value] = [this.#kinds[i] as number, this.#values[i] as number]
      if (record < 0) continue
      postings.push(record, kind, kind === KIND.string ? to.add(from.textOf(value)) : value)
    }
    return postings
  }

  /** Writes the records, kinds and values. */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(this.#records.subarray(0, this.#count))
    await writer.write(this.#kinds.subarray(0, this.#count))
    await writer.write(this.#values.subarray(0, this.#count))
  }
}
