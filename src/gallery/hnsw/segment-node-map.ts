import { readFile, writeFile } from 'node:fs/promises'
import type { SegmentId } from '../../domain/ids.js'

/** hnswlib's label of a node; never used twice. */
export type Node = number

const COLUMNS = 2 // of a saved row: segment, node

/** Which segments stand at which node: those at one node have equal vectors, but for rounding. */
export class SegmentNodeMap {
  #next: Node = 1
  readonly #nodeOf = new Map<SegmentId, Node>()
  readonly #segmentsAt = new Map<Node, SegmentId[]>()

  /** Reads what `save` has written. */
  static async load(path: string): Promise<SegmentNodeMap> {
    const cells = new Float64Array(new Uint8Array(await readFile(path)).buffer)
    const nodes = new SegmentNodeMap()
    nodes.#next = cells[0] as Node
    for (let i = 1; i < cells.length; i += COLUMNS) {
      nodes.attach(cells[i] as SegmentId, cells[i + 1] as Node)
    }
    return nodes
  }

  get count(): number {
    return this.#segmentsAt.size
  }

  get segmentCount(): number {
    return this.#nodeOf.size
  }

  all(): readonly Node[] {
    return [...this.#segmentsAt.keys()]
  }

  nodeOf(segment: SegmentId): Node | undefined {
    return this.#nodeOf.get(segment)
  }

  /** The segments that a predicate allows. */
  allowed(isAllowed: (segment: SegmentId) => boolean): ReadonlySet<SegmentId> {
    return new Set([...this.#nodeOf.keys()].filter(isAllowed))
  }

  segmentsAt(node: Node): readonly SegmentId[] {
    return this.#segmentsAt.get(node) ?? []
  }

  /** A new node, where no segment stands yet. */
  newNode(): Node {
    return this.#next++
  }

  attach(segment: SegmentId, node: Node): void {
    this.#nodeOf.set(segment, node)
    const segments = this.#segmentsAt.get(node)
    if (segments) segments.push(segment)
    else this.#segmentsAt.set(node, [segment])
  }

  /** Takes the segment off its node; answers the node if it is empty now, and thereby gone. */
  detach(segment: SegmentId): Node | undefined {
    const node = this.#nodeOf.get(segment)
    const segments = node === undefined ? undefined : this.#segmentsAt.get(node)
    if (node === undefined || !segments) return undefined
    this.#nodeOf.delete(segment)
    segments.splice(segments.indexOf(segment), 1)
    if (segments.length > 0) return undefined
    this.#segmentsAt.delete(node)
    return node
  }

  async save(path: string): Promise<void> {
    const cells = new Float64Array(1 + this.#nodeOf.size * COLUMNS)
    cells[0] = this.#next
    let at = 1
    for (const [segment, node] of this.#nodeOf) {
      cells.set([segment, node], at)
      at += COLUMNS
    }
    await writeFile(path, new Uint8Array(cells.buffer))
  }
}
