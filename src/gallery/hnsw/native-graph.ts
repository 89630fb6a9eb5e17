import hnswlib, { type HierarchicalNSW } from 'hnswlib-node'

// Measured with bench/gallery.ts: more candidates during construction gain nothing. More links cost
// less than a wider search.
const M = 24 // links per node
const EF_CONSTRUCTION = 100 // candidates for the links of a new node
const SEED = 100

/** The initial capacity of a graph, in nodes. */
export const FIRST_CAPACITY = 1024

/** Returns an empty graph with a capacity of at least `count` nodes. */
export function newNative(dimension: number, count = 0): HierarchicalNSW {
  const native = new hnswlib.HierarchicalNSW('ip', dimension)
  let capacity = FIRST_CAPACITY
  while (capacity < count) capacity *= 2
  native.initIndex(capacity, M, EF_CONSTRUCTION, SEED)
  return native
}

/** Reads a graph that hnswlib wrote. */
export async function readNative(path: string, dimension: number): Promise<HierarchicalNSW> {
  const native = new hnswlib.HierarchicalNSW('ip', dimension)
  await native.readIndex(path)
  return native
}

/** Adds a node. Doubles the fixed capacity of hnswlib if the graph is full. */
export function addPoint(native: HierarchicalNSW, point: number[], node: number): void {
  if (native.getCurrentCount() >= native.getMaxElements()) {
    native.resizeIndex(native.getMaxElements() * 2)
  }
  native.addPoint(point, node)
}
