import type { Attributes, AttributeValue } from '../../../domain/attributes.js'
import type { Comparison } from '../../vector/filter.js'
import { Bitmap } from '../bitmap.js'
import type { ColumnReader, ColumnWriter } from '../column-file.js'
import { grown } from '../typed-arrays.js'
import { type CellTest, kindOf, numberOf, testOf } from './cell.js'
import { Postings } from './postings.js'
import { StringDictionary } from './string-dictionary.js'

const NONE = -1
const MAX_DEAD_RECORDS = 1024 // compaction starts if dead records exceed live ones by this

/**
 * Stores the attributes of entities in one column per name. An entity is a small integer. Each
 * change of an entity writes a new record. Compaction removes dead records.
 */
export class AttributeTable {
  #postings = new Map<string, Postings>()
  #strings = new StringDictionary()
  #recordOf: Int32Array = new Int32Array(0) // by entity
  #entityOf: Int32Array = new Int32Array(0) // by record
  #sizes: Int32Array = new Int32Array(0) // by record: its number of attributes
  #records = 0
  #live = 0

  /** Reads a table that `save` wrote. */
  static load(reader: ColumnReader): AttributeTable {
    const table = new AttributeTable()
    table.#strings = new StringDictionary(reader.strings())
    table.#entityOf = reader.int32()
    table.#sizes = reader.int32()
    table.#records = table.#entityOf.length
    for (const [record, entity] of table.#entityOf.entries()) {
      if (entity !== NONE) table.#assign(record, entity)
    }
    for (const name of reader.strings()) table.#postings.set(name, Postings.load(reader))
    return table
  }

  /** Replaces the attributes of an entity. */
  set(entity: number, attributes: Attributes): void {
    const entries = Object.entries(attributes)
    if (this.#holds(entity, entries)) return
    this.clear(entity)
    if (entries.length === 0) return
    const record = this.#newRecord(entity, entries.length)
    for (const [name, value] of entries) {
      const number = typeof value === 'string' ? this.#strings.add(value) : Number(value)
      this.#postingsOf(name).push(record, kindOf(value), number)
    }
    if (this.#records > 2 * this.#live + MAX_DEAD_RECORDS) this.#compact()
  }

  /** Removes the attributes of an entity. */
  clear(entity: number): void {
    const record = this.#recordOf[entity] ?? NONE
    if (record === NONE) return
    this.#recordOf[entity] = NONE
    this.#entityOf[record] = NONE
    this.#live--
  }

  /** Returns whether a column exists for the attribute. */
  has(name: string): boolean {
    return this.#postings.has(name)
  }

  /** Returns the entities that have the attribute. */
  having(name: string): Bitmap {
    return this.#select(name, undefined)
  }

  /** Returns the entities whose attribute satisfies the comparison. */
  satisfying(filter: Comparison): Bitmap {
    return this.#select(filter.attribute, testOf(filter, this.#strings))
  }

  /**
   * Writes the table, including dead records. The caller must not change the table during the
   * write.
   */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.writeStrings(this.#strings.strings)
    await writer.write(this.#entityOf.subarray(0, this.#records))
    await writer.write(this.#sizes.subarray(0, this.#records))
    await writer.writeStrings([...this.#postings.keys()])
    for (const postings of this.#postings.values()) await postings.save(writer)
  }

  #select(name: string, test: CellTest | undefined): Bitmap {
    const entities = new Bitmap()
    this.#postings.get(name)?.select(test, (record) => {
      const entity = this.#entityOf[record] as number
      if (entity !== NONE) entities.add(entity)
    })
    return entities
  }

  /** Returns whether the entity has exactly these attributes. */
  #holds(entity: number, entries: readonly (readonly [string, AttributeValue])[]): boolean {
    const record = this.#recordOf[entity] ?? NONE
    if (record === NONE || this.#sizes[record] !== entries.length) return false
    return entries.every(([name, value]) => {
      const number = numberOf(value, this.#strings)
      if (number === undefined) return false
      return this.#postings.get(name)?.has(record, kindOf(value), number) === true
    })
  }

  #newRecord(entity: number, size: number): number {
    const record = this.#records++
    this.#entityOf = grown(this.#entityOf, this.#records, NONE)
    this.#sizes = grown(this.#sizes, this.#records)
    this.#sizes[record] = size
    this.#assign(record, entity)
    return record
  }

  #assign(record: number, entity: number): void {
    this.#recordOf = grown(this.#recordOf, entity + 1, NONE)
    this.#recordOf[entity] = record
    this.#entityOf[record] = entity
    this.#live++
  }

  #postingsOf(name: string): Postings {
    const known = this.#postings.get(name)
    if (known) return known
    const postings = new Postings()
    this.#postings.set(name, postings)
    return postings
  }

  #compact(): void {
    const renumbered = new Int32Array(this.#records).fill(NONE)
    const [entityOf, sizes, records] = [this.#entityOf, this.#sizes, this.#records]
    this.#records = 0
    this.#live = 0
    this.#entityOf = new Int32Array(0)
    this.#sizes = new Int32Array(0)
    for (let record = 0; record < records; record++) {
      const entity = entityOf[record] as number
      if (entity === NONE) continue
      renumbered[record] = this.#newRecord(entity, sizes[record] as number)
    }
    this.#compactPostings(renumbered)
  }

  #compactPostings(renumbered: Int32Array): void {
    const strings = new StringDictionary()
    const kept = [...this.#postings]
      .map(([name, each]) => [name, each.renumbered(renumbered, this.#strings, strings)] as const)
      .filter(([, { count }]) => count > 0)
    this.#postings = new Map(kept)
    this.#strings = strings
  }
}
