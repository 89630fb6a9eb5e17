import hnswlib, { type HierarchicalNSW } from 'hnswlib-node'
import { cooperativeYield } from '../../concurrency/cooperative-yield.js'
import type { SegmentId } from '../../domain/ids.js'
import { checkEmbedding, clampCosine, dot, type UnitVector } from '../../domain/vector.js'
import { TopK } from '../vector/top-k.js'
import type { Neighbour, Neighbours } from '../vector/vector-index.js'
import { type Node, SegmentNodeMap } from './segment-node-map.js'

// Measured with bench/gallery.ts. More candidates while building gain nothing; more links cost less than a wider search.
const M = 24 // links of a node
const EF_CONSTRUCTION = 100 // candidates looked at for the links of a new node
const EF_SEARCH = 200 // candidates kept by a search
const EF_DUPLICATE = 24 // candidates kept when looking for an equal vector
const DUPLICATE_DISTANCE = 1e-6 // what rounding leaves of the distance of equal vectors: beneath, float32 tells no two apart
const SEED = 100

const FIRST_CAPACITY = 1024
const REBUILD_TOMBSTONE_SHARE = 0.25 // of all nodes: beyond, the graph is built anew
const MOST_COPIED_AT_SWAP = 64 // nodes that a rebuilt graph may take without a pause when it is put in place

/**
 * The HNSW graph of one modality. Its nodes are *distinct* vectors: hnswlib links equal ones only to one another, so that
 * the thousand equal pictures of one still video would cut the graph into islands that a search cannot reach.
 */
export class Graph {
  #native: HierarchicalNSW
  readonly #nodes: SegmentNodeMap

  static empty(dimension: number): Graph {
    return new Graph(dimension, newNative(dimension, FIRST_CAPACITY), new SegmentNodeMap())
  }

  /** Reads what `save` has written. */
  static async load(path: string, dimension: number): Promise<Graph> {
    const nodes = await SegmentNodeMap.load(`${path}.nodes`)
    if (nodes.count === 0) return Graph.empty(dimension)
    const native = new hnswlib.HierarchicalNSW('ip', dimension)
    await native.readIndex(`${path}.hnsw`)
    native.setEf(EF_SEARCH)
    return new Graph(dimension, native, nodes)
  }

  private constructor(
    readonly dimension: number,
    native: HierarchicalNSW,
    nodes: SegmentNodeMap,
  ) {
    this.#native = native
    this.#nodes = nodes
  }

  get size(): number {
    return this.#nodes.segmentCount
  }

  has(segment: SegmentId): boolean {
    return this.#nodes.nodeOf(segment) !== undefined
  }

  /** Takes the vector in place of the one that the segment may have had. */
  put(segment: SegmentId, vector: UnitVector): void {
    const twin = this.#twinOf(vector)
    if (twin !== undefined && this.#nodes.nodeOf(segment) === twin) return
    this.drop(segment)
    this.#nodes.attach(segment, twin ?? this.#insert(vector))
  }

  drop(segment: SegmentId): void {
    const emptied = this.#nodes.detach(segment)
    if (emptied !== undefined) this.#native.markDelete(emptied)
  }

  /** `isAllowed`: segments that may be in the answer; absent, all may. */
  nearest(
    vector: UnitVector,
    limit: number,
    isAllowed?: (segment: SegmentId) => boolean,
  ): Pick<Neighbours, 'neighbours' | 'isExhausted'> {
    checkEmbedding(vector, this.dimension)
    const allowed = isAllowed && this.#nodes.allowed(isAllowed)
    const available = allowed ? allowed.size : this.size
    const wanted = Math.min(limit, available)
    if (wanted <= 0) return { neighbours: [], isExhausted: available === 0 }
    const neighbours = this.#nearest(vector, wanted, allowed)
    return { neighbours, isExhausted: wanted === available }
  }

  #nearest(
    vector: UnitVector,
    wanted: number,
    allowed: ReadonlySet<SegmentId> | undefined,
  ): readonly Neighbour[] {
    const scores = this.#search(vector, Math.min(wanted, this.#nodes.count), allowed)
    const found = this.#best(scores, wanted, allowed)
    if (found.length === wanted) return found
    // The search has seen all that it can reach from where it starts: compare the rest one by one.
    for (const node of this.#nodes.all()) {
      if (!scores.has(node)) scores.set(node, dot(this.#native.getPoint(node), vector))
    }
    return this.#best(scores, wanted, allowed)
  }

  /** Whether so many of its nodes are dead that it is worth building anew. */
  get isSparse(): boolean {
    const total = this.#native.getCurrentCount()
    return total - this.#nodes.count > Math.max(FIRST_CAPACITY, total * REBUILD_TOMBSTONE_SHARE)
  }

  /**
   * Builds the graph anew without its tombstones, while the old one answers and goes on taking what is put and dropped.
   * What it answers brings the new one up to date and puts it in place of the old, without a pause.
   */
  async rebuild(signal: AbortSignal): Promise<() => void> {
    const fresh = newNative(this.dimension, capacityFor(this.#nodes.count))
    const copied = new Set<Node>()
    const breathe = cooperativeYield()
    for (
      let missing = this.#nodes.all();
      missing.length > MOST_COPIED_AT_SWAP;
      missing = this.#notIn(copied)
    ) {
      for (const node of missing) {
        if (this.#nodes.segmentsAt(node).length > 0) this.#copy(node, fresh, copied)
        await breathe()
        signal.throwIfAborted()
      }
    }
    return () => {
      for (const node of this.#notIn(copied)) this.#copy(node, fresh, copied)
      for (const node of copied)
        if (this.#nodes.segmentsAt(node).length === 0) fresh.markDelete(node)
      this.#native = fresh
    }
  }

  /** Writes `path.hnsw` and `path.nodes`; nothing may be put or dropped meanwhile. */
  async save(path: string): Promise<void> {
    if (this.#nodes.count > 0) await this.#native.writeIndex(`${path}.hnsw`)
    await this.#nodes.save(`${path}.nodes`)
  }

  /** The node of a vector that cannot be told from this one. */
  #twinOf(vector: UnitVector): Node | undefined {
    this.#native.setEf(EF_DUPLICATE)
    const { neighbors, distances } = this.#native.searchKnn(Array.from(vector), 1)
    return (distances[0] ?? Number.POSITIVE_INFINITY) <= DUPLICATE_DISTANCE
      ? neighbors[0]
      : undefined
  }

  #insert(vector: UnitVector): Node {
    const node = this.#nodes.newNode()
    add(this.#native, Array.from(vector), node)
    return node
  }

  #notIn(copied: ReadonlySet<Node>): readonly Node[] {
    return this.#nodes.all().filter((node) => !copied.has(node))
  }

  #copy(node: Node, fresh: HierarchicalNSW, copied: Set<Node>): void {
    add(fresh, this.#native.getPoint(node), node)
    copied.add(node)
  }

  #search(
    vector: UnitVector,
    count: number,
    allowed: ReadonlySet<SegmentId> | undefined,
  ): Map<Node, number> {
    const isAllowed = (node: Node) =>
      this.#nodes.segmentsAt(node).some((segment) => allowed?.has(segment))
    this.#native.setEf(Math.max(EF_SEARCH, count))
    const { neighbors, distances } = this.#native.searchKnn(
      Array.from(vector),
      count,
      allowed && isAllowed,
    )
    return new Map(neighbors.map((node, i) => [node, 1 - (distances[i] as number)]))
  }

  #best(
    scores: ReadonlyMap<Node, number>,
    wanted: number,
    allowed: ReadonlySet<SegmentId> | undefined,
  ): readonly Neighbour[] {
    const best = new TopK(wanted)
    for (const [node, cosine] of scores) {
      const score = clampCosine(cosine)
      for (const segment of this.#nodes.segmentsAt(node)) {
        if (!allowed || allowed.has(segment)) best.push({ segment, score })
      }
    }
    return best.neighbours
  }
}

function newNative(dimension: number, capacity: number): HierarchicalNSW {
  const native = new hnswlib.HierarchicalNSW('ip', dimension)
  native.initIndex(capacity, M, EF_CONSTRUCTION, SEED)
  return native
}

/** hnswlib has a fixed capacity, which is doubled where it is reached. */
function add(native: HierarchicalNSW, point: number[], node: Node): void {
  if (native.getCurrentCount() >= native.getMaxElements())
    native.resizeIndex(native.getMaxElements() * 2)
  native.addPoint(point, node)
}

function capacityFor(count: number): number {
  let capacity = FIRST_CAPACITY
  while (capacity < count) capacity *= 2
  return capacity
}
