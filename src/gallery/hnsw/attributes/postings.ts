import type { ColumnReader, ColumnWriter } from '../column-file.js'
import { grown } from '../typed-arrays.js'
import { type CellTest, KIND, type Kind } from './cell.js'
import type { StringDictionary } from './string-dictionary.js'

/** The values of one attribute, by record in ascending order. */
export class Postings {
  #records: Int32Array = new Int32Array(0)
  #kinds: Uint8Array = new Uint8Array(0)
  #values: Float64Array = new Float64Array(0)
  #count = 0

  /** Reads what `save` wrote. */
  static load(reader: ColumnReader): Postings {
    const postings = new Postings()
    postings.#records = reader.int32()
    postings.#kinds = reader.uint8()
    postings.#values = reader.float64()
    postings.#count = postings.#records.length
    return postings
  }

  get count(): number {
    return this.#count
  }

  /** Appends a value. The record is greater than all before. */
  push(record: number, kind: number, value: number): void {
    const at = this.#count++
    this.#records = grown(this.#records, this.#count)
    this.#kinds = grown(this.#kinds, this.#count)
    this.#values = grown(this.#values, this.#count)
    this.#records[at] = record
    this.#kinds[at] = kind
    this.#values[at] = value
  }

  /** Whether the record has this value. */
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

  /** Calls `visit` with each record whose value passes the test. */
  select(test: CellTest | undefined, visit: (record: number) => void): void {
    for (let i = 0; i < this.#count; i++) {
      if (test?.(this.#kinds[i] as number, this.#values[i] as number) === false) continue
      visit(this.#records[i] as number)
    }
  }

  /** Returns the postings under new records and codes, without those of a negative record. */
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

  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(this.#records.subarray(0, this.#count))
    await writer.write(this.#kinds.subarray(0, this.#count))
    await writer.write(this.#values.subarray(0, this.#count))
  }
}
