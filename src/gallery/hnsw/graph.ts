import type { HierarchicalNSW } from 'hnswlib-node'
import { clampCosine, dot } from '../../domain/vector.js'
import { TopK } from '../vector/top-k.js'
import type { Neighbour, Neighbours } from '../vector/vector-index.js'
import { Bitmap } from './bitmap.js'
import { ColumnReader, ColumnWriter } from './column-file.js'
import { addPoint, FIRST_CAPACITY, newNative, readNative } from './native-graph.js'
import { type Node, SegmentNodeMap } from './segment-node-map.js'
import type { Row, SegmentTable } from './segment-table.js'

const EF_SEARCH = 200 // candidates in a search
const EF_DUPLICATE = 24 // candidates in a search for an equal vector
const DUPLICATE_DISTANCE = 1e-6 // upper bound of the rounding error between equal vectors

// A filtered search visits about ef * nodes / allowed nodes. Reading and comparing one vector takes
// as long as 13 visits (measured with 20,000 vectors of 256 numbers).
const VISITS_PER_COMPARISON = 13
const REBUILD_TOMBSTONE_SHARE = 0.25 // share of all nodes; above it, the graph is rebuilt
const MAX_COPIED_AT_SWAP = 64 // nodes, copied in one step when the graph is replaced

/** The rows that an answer can contain. */
export interface Allowed {
  readonly rows?: Bitmap | undefined // if absent, all rows
  readonly except: readonly Row[]
}

/**
 * The HNSW graph of one modality. Its nodes are *distinct* vectors. hnswlib links equal vectors
 * only to each other. A still video can have a thousand equal pictures: they would split the graph
 * into unreachable islands.
 */
export class Graph {
  #native: HierarchicalNSW
  readonly #nodes: SegmentNodeMap

  /** Returns a graph without segments. */
  static empty(dimension: number, segments: SegmentTable): Graph {
    return new Graph(dimension, segments, newNative(dimension), new SegmentNodeMap())
  }

  /** Reads a graph that `save` wrote. */
  static async load(path: string, dimension: number, segments: SegmentTable): Promise<Graph> {
    const reader = await ColumnReader.open(`${path}.nodes`)
    const [count = 0] = reader.int32()
    if (count === 0) return Graph.empty(dimension, segments)
    const native = await readNative(`${path}.hnsw`, dimension)
    const taken = new Bitmap()
    for (const node of native.getIdsList()) taken.add(node)
    const nodes = SegmentNodeMap.load(reader, (node) => taken.has(node))
    return new Graph(dimension, segments, native, nodes)
  }

  private constructor(
    private readonly dimension: number,
    private readonly segments: SegmentTable,
    native: HierarchicalNSW,
    nodes: SegmentNodeMap,
  ) {
    this.#native = native
    this.#nodes = nodes
  }

  /** The number of segments. */
  get size(): number {
    return this.#nodes.segmentCount
  }

  /** Returns whether the segment has a vector in this graph. */
  has(row: Row): boolean {
    return this.#nodes.nodeOf(row) !== undefined
  }

  /** Sets the vector of the segment. Replaces an earlier vector. */
  put(row: Row, vector: Float32Array): void {
    const point = Array.from(vector)
    const duplicate = this.#duplicateOf(point)
    if (duplicate !== undefined && this.#nodes.nodeOf(row) === duplicate) return
    this.drop(row)
    this.#nodes.attach(row, duplicate ?? this.#insert(point))
  }

  /** Removes the vector of the segment, if it has one. */
  drop(row: Row): void {
    const emptied = this.#nodes.detach(row)
    if (emptied !== undefined) this.#native.markDelete(emptied)
  }

  /** Returns the nearest segments. */
  nearest(
    vector: Float32Array,
    limit: number,
    allowing: Allowed,
  ): Pick<Neighbours, 'neighbours' | 'isExhausted'> {
    const allowed = this.#allowed(allowing)
    const available = allowed ? allowed.size : this.size
    const wanted = Math.min(limit, available)
    if (wanted <= 0) return { neighbours: [], isExhausted: available === 0 }
    const neighbours =
      allowed && this.#isFullScanCheaper(available)
        ? this.#fullScan(new Map(), vector, wanted, allowed)
        : this.#nearest(vector, wanted, allowed)
    return { neighbours, isExhausted: wanted === available }
  }

  /** Returns whether the graph has enough tombstones for a rebuild. */
  get isSparse(): boolean {
    const total = this.#native.getCurrentCount()
    return total - this.#nodes.count > Math.max(FIRST_CAPACITY, total * REBUILD_TOMBSTONE_SHARE)
  }

  /**
   * Copies the graph without its tombstones. The old graph serves and accepts changes during the
   * copy. Returns a function that copies the last changes and replaces the old graph in one step.
   */
  async rebuild(
    yieldIfDue: () => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<() => void> {
    const fresh = newNative(this.dimension, this.#nodes.count)
    const copied = new Bitmap()
    for (
      let missing = this.#notIn(copied);
      missing.length > MAX_COPIED_AT_SWAP;
      missing = this.#notIn(copied)
    ) {
      for (const node of missing) {
        if (this.#nodes.has(node)) this.#copy(node, fresh, copied)
        await yieldIfDue()
        signal.throwIfAborted()
      }
    }
    return () => this.#replace(fresh, copied)
  }

  /** Writes `path.hnsw` and `path.nodes`. The caller must not change the graph during the write. */
  async save(path: string): Promise<void> {
    if (this.#nodes.count > 0) await this.#native.writeIndex(`${path}.hnsw`)
    await using writer = await ColumnWriter.create(`${path}.nodes`)
    await writer.write(Int32Array.of(this.#nodes.count))
    await this.#nodes.save(writer)
  }

  /** Returns the node with an equal vector, if there is one. */
  #duplicateOf(point: number[]): Node | undefined {
    this.#native.setEf(EF_DUPLICATE)
    const { neighbors, distances } = this.#native.searchKnn(point, 1)
    return (distances[0] ?? Number.POSITIVE_INFINITY) <= DUPLICATE_DISTANCE
      ? neighbors[0]
      : undefined
  }

  #insert(point: number[]): Node {
    const node = this.#nodes.newNode()
    addPoint(this.#native, point, node)
    return node
  }

  #replace(fresh: HierarchicalNSW, copied: Bitmap): void {
    for (const node of this.#notIn(copied)) this.#copy(node, fresh, copied)
    for (const node of copied) if (!this.#nodes.has(node)) fresh.markDelete(node)
    this.#native = fresh
    this.#nodes.recycle((node) => copied.has(node))
  }

  #notIn(copied: Bitmap): Int32Array {
    return this.#nodes.all().filter((node) => !copied.has(node))
  }

  #copy(node: Node, fresh: HierarchicalNSW, copied: Bitmap): void {
    addPoint(fresh, this.#native.getPoint(node), node)
    copied.add(node)
  }

  /** Returns undefined if all segments are allowed. */
  #allowed({ rows, except }: Allowed): Bitmap | undefined {
    if (!rows && except.length === 0) return undefined
    const { members } = this.#nodes
    const allowed = rows ? rows.and(members) : members.clone()
    for (const row of except) allowed.delete(row)
    return allowed
  }

  #isFullScanCheaper(allowed: number): boolean {
    const visits = (EF_SEARCH * this.#nodes.count) / allowed
    return allowed * VISITS_PER_COMPARISON < visits
  }

  #nearest(
    vector: Float32Array,
    wanted: number,
    allowed: Bitmap | undefined,
  ): readonly Neighbour[] {
    const scores = this.#search(vector, Math.min(wanted, this.#nodes.count), allowed)
    const found = this.#best(scores, wanted, allowed)
    if (found.length === wanted) return found
    // The search has visited every reachable node. Compare the remaining vectors one by one.
    return this.#fullScan(scores, vector, wanted, allowed ?? this.#nodes.members)
  }

  #search(vector: Float32Array, count: number, allowed: Bitmap | undefined): Map<Node, number> {
    this.#native.setEf(Math.max(EF_SEARCH, count))
    const { neighbors, distances } = this.#native.searchKnn(
      Array.from(vector),
      count,
      allowed && ((node) => this.#isAllowed(node, allowed)),
    )
    return new Map(neighbors.map((node, i) => [node, 1 - (distances[i] as number)]))
  }

  #isAllowed(node: Node, allowed: Bitmap): boolean {
    for (let row = this.#nodes.firstAt(node); row >= 0; row = this.#nodes.after(row)) {
      if (allowed.has(row)) return true
    }
    return false
  }

  /** Compares the vector with all allowed rows. `scores` has the known scores, by node. */
  #fullScan(
    scores: Map<Node, number>,
    vector: Float32Array,
    wanted: number,
    allowed: Bitmap,
  ): readonly Neighbour[] {
    for (const row of allowed) {
      const node = this.#nodes.nodeOf(row) as Node
      if (!scores.has(node)) scores.set(node, dot(this.#native.getPoint(node), vector))
    }
    return this.#best(scores, wanted, allowed)
  }

  #best(
    scores: ReadonlyMap<Node, number>,
    wanted: number,
    allowed: Bitmap | undefined,
  ): readonly Neighbour[] {
    const best = new TopK(wanted)
    for (const [node, cosine] of scores) {
      const score = clampCosine(cosine)
      for (let row = this.#nodes.firstAt(node); row >= 0; row = this.#nodes.after(row)) {
        if (!allowed || allowed.has(row)) best.push({ segment: this.segments.idOf(row), score })
      }
    }
    return best.neighbours
  }
}
