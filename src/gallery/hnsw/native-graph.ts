import hnswlib, { type HierarchicalNSW } from 'hnswlib-node'

// Measured with bench/gallery.ts. More candidates while building gain nothing; more links cost less
// than a wider search.
const M = 24 // links of a node
const EF_CONSTRUCTION = 100 // candidates looked at for the links of a new node
const SEED = 100

/** The capacity that a graph begins with, in nodes. */
export const FIRST_CAPACITY = 1024

/** Returns an empty graph with room for `count` nodes. */
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

/** Adds a node. hnswlib has a fixed capacity, which is doubled where it is reached. */
export function addPoint(native: HierarchicalNSW, point: number[], node: number): void {
  if (native.getCurrentCount() >= native.getMaxElements()) {
    native.resizeIndex(native.getMaxElements() * 2)
  }
  native.addPoint(point, node)
}
