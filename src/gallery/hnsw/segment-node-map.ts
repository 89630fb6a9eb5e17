import { Bitmap } from './bitmap.js'
import type { ColumnReader, ColumnWriter } from './column-file.js'
import type { Row } from './segment-table.js'
import { grown } from './typed-arrays.js'

/** The hnswlib label of a node. It is reused after no native graph has the node. */
export type Node = number

const NONE = -1

/**
 * Maps the rows of segments to nodes. Segments at one node have equal vectors, apart from rounding.
 * The rows of a node form a linked list.
 */
export class SegmentNodeMap {
  #nodeOf: Int32Array = new Int32Array(0) // by row
  #next: Int32Array = new Int32Array(0) // by row: the next row at the same node
  #previous: Int32Array = new Int32Array(0) // by row: the previous row at the same node
  #first: Int32Array = new Int32Array(0) // by node: its first row
  #nodes = 0 // all nodes, including free ones
  #free: Node[] = []
  #count = 0
  #segmentCount = 0
  readonly #members = new Bitmap()

  /** Reads a map that `save` wrote. `isTaken` returns whether the native graph has a node. */
  static load(reader: ColumnReader, isTaken: (node: Node) => boolean): SegmentNodeMap {
    const map = new SegmentNodeMap()
    const [nodes = 0] = reader.int32()
    const nodeOf = reader.int32()
    map.#nodes = nodes
    map.#reserve(nodeOf.length, nodes)
    for (const [row, node] of nodeOf.entries()) if (node !== NONE) map.attach(row, node)
    map.recycle(isTaken)
    return map
  }

  /** The number of nodes that have segments. */
  get count(): number {
    return this.#count
  }

  /** The number of segments. */
  get segmentCount(): number {
    return this.#segmentCount
  }

  /** The rows that are at a node. The caller must not change the bitmap. */
  get members(): Bitmap {
    return this.#members
  }

  /** Returns the nodes that have segments. */
  all(): Int32Array {
    const nodes = new Int32Array(this.#count)
    let at = 0
    for (let node = 0; node < this.#nodes; node++) if (this.has(node)) nodes[at++] = node
    return nodes
  }

  /** Returns whether the node has segments. */
  has(node: Node): boolean {
    return this.firstAt(node) !== NONE
  }

  /** Returns the node of a row, or undefined if the row has none. */
  nodeOf(row: Row): Node | undefined {
    const node = this.#nodeOf[row] ?? NONE
    return node === NONE ? undefined : node
  }

  /** Returns the first row at the node, or a negative number. */
  firstAt(node: Node): Row {
    return this.#first[node] ?? NONE
  }

  /** Returns the next row at the same node, or a negative number. */
  after(row: Row): Row {
    return this.#next[row] ?? NONE
  }

  /** Returns a node without segments. */
  newNode(): Node {
    return this.#free.pop() ?? this.#nodes++
  }

  /** Adds a row to a node. */
  attach(row: Row, node: Node): void {
    this.#reserve(row + 1, node + 1)
    const next = this.firstAt(node)
    if (next === NONE) this.#count++
    else this.#previous[next] = row
    this.#nodeOf[row] = node
    this.#next[row] = next
    this.#previous[row] = NONE
    this.#first[node] = row
    this.#segmentCount++
    this.#members.add(row)
  }

  /** Removes the row from its node. Returns the node if it has no more rows. */
  detach(row: Row): Node | undefined {
    const node = this.nodeOf(row)
    if (node === undefined) return undefined
    this.#unlink(row, node)
    this.#nodeOf[row] = NONE
    this.#segmentCount--
    this.#members.delete(row)
    if (this.has(node)) return undefined
    this.#count--
    return node
  }

  /** Frees the nodes that no native graph has. */
  recycle(isTaken: (node: Node) => boolean): void {
    this.#free = []
    for (let node = 0; node < this.#nodes; node++) if (!isTaken(node)) this.#free.push(node)
  }

  /** Writes the node of each row. */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(Int32Array.of(this.#nodes))
    await writer.write(this.#nodeOf)
  }

  #reserve(rows: number, nodes: number): void {
    this.#nodeOf = grown(this.#nodeOf, rows, NONE)
    this.#next = grown(this.#next, rows, NONE)
    this.#previous = grown(this.#previous, rows, NONE)
    this.#first = grown(this.#first, nodes, NONE)
  }

  #unlink(row: Row, node: Node): void {
    const [previous, next] = [this.#previous[row] as Row, this.after(row)]
    if (previous === NONE) this.#first[node] = next
    else this.#next[previous] = next
    if (next !== NONE) this.#previous[next] = previous
  }
}
