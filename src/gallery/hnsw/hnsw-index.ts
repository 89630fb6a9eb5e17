import { join } from 'node:path'
import { MODALITIES, type Modality, type SegmentId, type Seq } from '../../domain.js'
import type { Change } from '../catalogue.js'
import type { NearestQuery, Neighbour, VectorIndex } from '../vector-index.js'
import { breath } from './breath.js'
import { Graph } from './graph.js'
import { newLineage, wholeSnapshots, writeSnapshot } from './snapshot.js'

const SNAPSHOT_AFTER = 5_000 // changes, or a tenth of what it holds: replaying them takes seconds

export interface HnswOptions {
  readonly dir: string // of its snapshots
  readonly dimension: number
  readonly fingerprint: string
  readonly from?: 'snapshot' | 'empty'
  readonly snapshotAfter?: number
}

type Graphs = Readonly<Record<Modality, Graph>>

interface Start {
  readonly graphs: Graphs
  readonly cursor: Seq
  readonly lineage: string
}

/**
 * Approximate search in memory (hnswlib), with snapshots on disk. What a kill takes is replayed from the catalogue's
 * log, so a snapshot that is missing, torn or of another bundle costs time and nothing else.
 */
export class HnswIndex implements VectorIndex {
  readonly #options: HnswOptions
  readonly #graphs: Graphs
  readonly #lineage: string
  #cursor: Seq
  #unsaved = 0 // changes since the last snapshot
  #last: Promise<unknown> = Promise.resolve()

  static async open(options: HnswOptions): Promise<HnswIndex> {
    return new HnswIndex(
      options,
      (options.from !== 'empty' && (await loadNewest(options))) || (await startEmpty(options)),
    )
  }

  private constructor(options: HnswOptions, { graphs, cursor, lineage }: Start) {
    this.#options = options
    this.#graphs = graphs
    this.#cursor = cursor
    this.#lineage = lineage
  }

  get cursor(): Seq {
    return this.#cursor
  }

  get sizes(): Record<Modality, number> {
    return { audio: this.#graphs.audio.size, visual: this.#graphs.visual.size }
  }

  apply(changes: readonly Change[], cursor: Seq): Promise<void> {
    return this.#inTurn(async () => {
      const breathe = breath()
      for (const change of changes) {
        if (change.seq > this.#cursor) this.#applyOne(change)
        await breathe()
      }
      this.#cursor = Math.max(this.#cursor, cursor)
      for (const modality of MODALITIES) await this.#graphs[modality].compact()
      const { audio, visual } = this.sizes
      const { snapshotAfter = Math.max(SNAPSHOT_AFTER, (audio + visual) / 10) } = this.#options
      if (this.#unsaved >= snapshotAfter) await this.#save()
    })
  }

  async nearest({ modality, ...query }: NearestQuery, signal?: AbortSignal): Promise<readonly Neighbour[]> {
    signal?.throwIfAborted()
    return this.#graphs[modality].nearest(query)
  }

  async holding(segments: readonly SegmentId[], modality: Modality): Promise<ReadonlySet<SegmentId>> {
    return new Set(segments.filter((segment) => this.#graphs[modality].has(segment)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#inTurn(() => this.#save())
  }

  /** One at a time: a graph must not change while it is being written. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  #applyOne(change: Change): void {
    if (change.op === 'put') {
      this.#graphs[change.modality].put(change.segment, change.vector)
    } else {
      for (const modality of MODALITIES) this.#graphs[modality].drop(change.segment)
    }
    this.#cursor = change.seq
    this.#unsaved++
  }

  async #save(): Promise<void> {
    if (this.#unsaved === 0) return
    this.#unsaved = 0
    const { dir, dimension, fingerprint } = this.#options
    try {
      await writeSnapshot(
        dir,
        { lineage: this.#lineage, cursor: this.#cursor, fingerprint, dimension },
        async (folder) => {
          for (const modality of MODALITIES) await this.#graphs[modality].save(join(folder, modality))
        },
      )
    } catch (error) {
      // A search that works is not refused for a full disk: the next start takes longer, that is all.
      process.emitWarning(`No snapshot of the vector index could be written to ${dir}: ${error}`, 'SnapshotWarning')
    }
  }
}

async function loadNewest({ dir, fingerprint, dimension }: HnswOptions): Promise<Start | undefined> {
  for await (const { folder, cursor, lineage } of wholeSnapshots(dir, { fingerprint, dimension })) {
    try {
      const [audio, visual] = await Promise.all([
        Graph.load(join(folder, 'audio'), dimension),
        Graph.load(join(folder, 'visual'), dimension),
      ])
      return { graphs: { audio, visual }, cursor, lineage }
    } catch {
      // Removed by another process while it was read, or cut when it was written: the one before it will do.
    }
  }
  return undefined
}

async function startEmpty({ dir, dimension }: HnswOptions): Promise<Start> {
  const graphs = { audio: Graph.empty(dimension), visual: Graph.empty(dimension) }
  return { graphs, cursor: 0, lineage: await newLineage(dir) }
}
