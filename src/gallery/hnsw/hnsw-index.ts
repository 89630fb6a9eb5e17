import { join } from 'node:path'
import { cooperativeYield } from '../../concurrency/cooperative-yield.js'
import type { SegmentId, Seq } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import type { Change, ChangeLog } from '../catalogue/change-log.js'
import type { IndexInfo, NearestQuery, Neighbours, VectorIndex } from '../vector/vector-index.js'
import { AttributeMap } from './attribute-map.js'
import { Graph } from './graph.js'
import { newLineage, type SnapshotHeader, wholeSnapshots, writeSnapshot } from './snapshot.js'

const ATTRIBUTES = 'attributes.json' // in a snapshot
const SNAPSHOT_AFTER = 5_000 // changes, or a tenth of what it holds: replaying them takes seconds

export interface HnswOptions {
  readonly dir: string // of its snapshots
  readonly dimension: number
  readonly fingerprint: string
  readonly equals?: readonly string[] // fingerprints of the same embeddings
  readonly log: Pick<ChangeLog, 'historyTokenAt'> // by which a snapshot of another history is known
  readonly from?: 'snapshot' | 'empty'
  readonly snapshotAfter?: number
}

type Graphs = Readonly<Record<Modality, Graph>>

interface Start {
  readonly graphs: Graphs
  readonly attributes: AttributeMap
  readonly cursor: Seq
  readonly lineage: string
}

/**
 * Approximate search in memory (hnswlib), with snapshots on disk. What a kill takes is replayed from the catalogue's
 * log, so a snapshot that is missing, torn, of another bundle or of another history of the catalogue costs time and
 * nothing else.
 */
export class HnswIndex implements VectorIndex {
  readonly #options: HnswOptions
  readonly #graphs: Graphs
  readonly #attributes: AttributeMap
  readonly #closing = new AbortController()
  #lineage: string
  #cursor: Seq
  #saved: Seq
  #unsaved = 0 // changes since the last snapshot
  #last: Promise<unknown> = Promise.resolve()
  #reclaiming: Promise<void> | undefined

  static async open(options: HnswOptions): Promise<HnswIndex> {
    return new HnswIndex(
      options,
      (options.from !== 'empty' && (await loadNewest(options))) || (await startEmpty(options)),
    )
  }

  private constructor(options: HnswOptions, { graphs, attributes, cursor, lineage }: Start) {
    this.#options = options
    this.#graphs = graphs
    this.#attributes = attributes
    this.#cursor = cursor
    this.#saved = cursor
    this.#lineage = lineage
    this.#reclaim()
  }

  async info(): Promise<IndexInfo> {
    const [cursor, saved, generation] = [this.#cursor, this.#saved, this.#lineage]
    return { cursor, saved, sizes: this.#sizes, generation }
  }

  get #sizes(): Record<Modality, number> {
    return { audio: this.#graphs.audio.size, visual: this.#graphs.visual.size }
  }

  apply(changes: readonly Change[], cursor: Seq): Promise<void> {
    return this.#inTurn(async () => {
      const breathe = cooperativeYield()
      for (const change of changes) {
        if (change.seq > this.#cursor) this.#applyOne(change)
        await breathe()
      }
      this.#cursor = Math.max(this.#cursor, cursor)
      this.#reclaim()
      const { audio, visual } = this.#sizes
      const { snapshotAfter = Math.max(SNAPSHOT_AFTER, (audio + visual) / 10) } = this.#options
      if (this.#unsaved >= snapshotAfter) await this.#save()
    })
  }

  async nearest(query: NearestQuery, signal?: AbortSignal): Promise<Neighbours> {
    signal?.throwIfAborted()
    const { vector, modality, limit } = query
    const found = this.#graphs[modality].nearest(vector, limit, this.#allowed(query))
    return { ...found, generation: this.#lineage }
  }

  async holding(
    segments: readonly SegmentId[],
    modality: Modality,
  ): Promise<ReadonlySet<SegmentId>> {
    return new Set(segments.filter((segment) => this.#graphs[modality].has(segment)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#reclaiming
    await this.#inTurn(() => this.#save())
  }

  /** One at a time: a graph must not change while it is being written. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Undefined if the query allows all segments. */
  #allowed({ except = [], filter }: NearestQuery): ((segment: SegmentId) => boolean) | undefined {
    if (except.length === 0 && filter === undefined) return undefined
    const excepted = new Set(except)
    return (segment) =>
      !excepted.has(segment) && (filter === undefined || this.#attributes.matches(filter, segment))
  }

  #applyOne(change: Change): void {
    if (change.op === 'attributes') {
      this.#attributes.setClip(change.clip, change.attributes)
    } else if (change.op === 'put') {
      const { segment, clip, attributes, vector } = change
      this.#graphs[change.modality].put(segment, vector)
      this.#attributes.setSegment(segment, { clip, attributes })
    } else {
      for (const modality of MODALITIES) this.#graphs[modality].drop(change.segment)
      this.#attributes.deleteSegment(change.segment)
    }
    this.#cursor = change.seq
    this.#unsaved++
  }

  /** Takes the tombstones out in the background: what is asked or applied meanwhile does not wait for it. */
  #reclaim(): void {
    const sparse = MODALITIES.map((modality) => this.#graphs[modality]).filter(
      ({ isSparse }) => isSparse,
    )
    if (sparse.length === 0 || this.#reclaiming || this.#closing.signal.aborted) return
    const reclaim = async () => {
      for (const graph of sparse) {
        const finish = await graph.rebuild(this.#closing.signal)
        await this.#inTurn(async () => finish())
      }
      await this.#inTurn(() => this.#supersede())
    }
    this.#reclaiming = reclaim()
      .catch((error) => {
        if (this.#closing.signal.aborted) return
        process.emitWarning(
          `Dropped vectors could not be reclaimed, and stay until it is tried again: ${error}`,
        )
      })
      .finally(() => {
        this.#reclaiming = undefined
      })
  }

  /** A snapshot at the cursor that it has already is of a later lineage, and replaces the one with tombstones. */
  async #supersede(): Promise<void> {
    this.#lineage = await newLineage(this.#options.dir)
    this.#unsaved++
    await this.#save()
  }

  async #save(): Promise<void> {
    if (this.#unsaved === 0) return
    this.#unsaved = 0
    const { dir, dimension, fingerprint, log } = this.#options
    const cursor = this.#cursor
    try {
      const historyToken = await log.historyTokenAt(cursor)
      if (historyToken === undefined) return // compacted away: only an index that is behind has its cursor there
      const of = { lineage: this.#lineage, cursor, historyToken, fingerprint, dimension }
      await writeSnapshot(dir, of, async (folder) => {
        for (const modality of MODALITIES) await this.#graphs[modality].save(join(folder, modality))
        await this.#attributes.save(join(folder, ATTRIBUTES))
      })
      this.#saved = cursor
    } catch (error) {
      // A search that works is not refused for a full disk: the next start takes longer, that is all.
      process.emitWarning(
        `No snapshot of the vector index could be written to ${dir}: ${error}`,
        'SnapshotWarning',
      )
    }
  }
}

async function loadNewest({
  dir,
  fingerprint,
  equals = [],
  dimension,
  log,
}: HnswOptions): Promise<Start | undefined> {
  const isOurs = async ({ cursor, historyToken }: SnapshotHeader) =>
    (await log.historyTokenAt(cursor)) === historyToken
  for await (const { folder, cursor, lineage } of wholeSnapshots(dir, {
    fingerprints: [fingerprint, ...equals],
    dimension,
    isOurs,
  })) {
    try {
      const [audio, visual, attributes] = await Promise.all([
        Graph.load(join(folder, 'audio'), dimension),
        Graph.load(join(folder, 'visual'), dimension),
        AttributeMap.load(join(folder, ATTRIBUTES)),
      ])
      return { graphs: { audio, visual }, attributes, cursor, lineage }
    } catch {
      // Removed by another process while it was read, or cut when it was written: the one before it will do.
    }
  }
  return undefined
}

async function startEmpty({ dir, dimension }: HnswOptions): Promise<Start> {
  const graphs = { audio: Graph.empty(dimension), visual: Graph.empty(dimension) }
  return { graphs, attributes: new AttributeMap(), cursor: 0, lineage: await newLineage(dir) }
}
