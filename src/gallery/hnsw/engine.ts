import { cooperativeYield } from '../../concurrency/cooperative-yield.js'
import type { SegmentId, Seq } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import type { Change, ChangeLog } from '../catalogue/change-log.js'
import type { IndexInfo, NearestQuery, Neighbours } from '../vector/vector-index.js'
import { Contents } from './contents.js'
import { newLineage, type SnapshotHeader, wholeSnapshots, writeSnapshot } from './snapshot.js'

// Number of unsaved changes that triggers a snapshot. The limit is a tenth of the index if that is
// greater. A replay of this many changes takes seconds.
const SNAPSHOT_AFTER = 5_000
const SLICE_MS = 0.2 // a query waits at most this long, or for one insertion

/** The snapshot folder of an index and the bundle of its snapshots. */
export interface EngineOptions {
  readonly dir: string // of its snapshots
  readonly dimension: number
  readonly fingerprint: string
  readonly equals?: readonly string[] // fingerprints of bundles with the same embeddings
  readonly from?: 'snapshot' | 'empty'
  readonly snapshotAfter?: number
}

/** The functions of the main thread that the engine thread calls. */
export interface EngineHost extends Pick<ChangeLog, 'historyTokenAt'> {
  /** Emits a process warning. */
  warn(message: string, type?: string): void
  /** Runs between insertions. Blocks forever if the process exits. */
  pass(): void
}

interface Start {
  readonly contents: Contents
  readonly cursor: Seq
  readonly lineage: string
}

/** Follows the log, answers queries between insertions, and writes snapshots. */
export class HnswEngine {
  readonly #contents: Contents
  readonly #closing = new AbortController()
  #lineage: string
  #cursor: Seq
  #saved: Seq
  #unsaved = 0 // changes since the last snapshot
  #lastTask: Promise<unknown> = Promise.resolve()
  #reclaiming: Promise<void> | undefined

  /** Opens the newest complete snapshot, or an empty index if there is none. */
  static async open(options: EngineOptions, host: EngineHost): Promise<HnswEngine> {
    const loaded = options.from === 'empty' ? undefined : await loadNewest(options, host)
    return new HnswEngine(options, host, loaded ?? (await startEmpty(options)))
  }

  private constructor(
    private readonly options: EngineOptions,
    private readonly host: EngineHost,
    { contents, cursor, lineage }: Start,
  ) {
    this.#contents = contents
    this.#cursor = cursor
    this.#saved = cursor
    this.#lineage = lineage
    this.#reclaim()
  }

  /** Returns the cursors and the number of segments. */
  info(): IndexInfo {
    const [cursor, saved, generation] = [this.#cursor, this.#saved, this.#lineage]
    return { cursor, saved, sizes: this.#contents.sizes, generation }
  }

  /**
   * Applies changes in order and moves the cursor. Writes a snapshot if enough changes are unsaved.
   */
  apply(changes: Iterable<Change>, cursor: Seq): Promise<void> {
    return this.#enqueue(async () => {
      const yieldIfDue = this.#yielder()
      for (const change of changes) {
        if (change.seq > this.#cursor) this.#applyOne(change)
        await yieldIfDue()
      }
      this.#cursor = Math.max(this.#cursor, cursor)
      this.#reclaim()
      if (this.#unsaved >= this.#snapshotAfter) await this.#save()
    })
  }

  /** Returns the nearest segments among the applied changes. */
  nearest(query: NearestQuery): Neighbours {
    return { ...this.#contents.nearest(query), generation: this.#lineage }
  }

  /** Returns the given segments that have a vector of the modality. */
  holding(segments: readonly SegmentId[], modality: Modality): readonly SegmentId[] {
    return segments.filter((segment) => this.#contents.has(segment, modality))
  }

  /** Writes a snapshot of unsaved changes. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#reclaiming
    await this.#enqueue(() => this.#save())
  }

  get #snapshotAfter(): number {
    const { audio, visual } = this.#contents.sizes
    return this.options.snapshotAfter ?? Math.max(SNAPSHOT_AFTER, (audio + visual) / 10)
  }

  /** Runs one task at a time: a graph must not change during a write. */
  #enqueue(task: () => Promise<void>): Promise<void> {
    const result = this.#lastTask.then(task)
    this.#lastTask = result.catch(() => {})
    return result
  }

  /** Returns a function that the engine calls between insertions, so that it can answer queries. */
  #yielder(): () => Promise<void> | undefined {
    const yieldIfDue = cooperativeYield(SLICE_MS)
    return () => {
      this.host.pass()
      return yieldIfDue()
    }
  }

  #applyOne(change: Change): void {
    this.#contents.apply(change)
    this.#cursor = change.seq
    this.#unsaved++
  }

  /** Removes tombstones in the background. Queries and changes do not wait for it. */
  #reclaim(): void {
    const { graphs } = this.#contents
    const sparse = MODALITIES.map((modality) => graphs[modality]).filter(({ isSparse }) => isSparse)
    const { signal } = this.#closing
    if (sparse.length === 0 || this.#reclaiming || signal.aborted) return
    const reclaim = async () => {
      for (const graph of sparse) {
        const finish = await graph.rebuild(this.#yielder(), signal)
        await this.#enqueue(async () => finish())
      }
      await this.#enqueue(() => this.#supersede())
    }
    this.#reclaiming = reclaim()
      .catch((error) => {
        if (signal.aborted) return
        this.host.warn(
          'The index could not remove dropped vectors. It tries again after a later change: ' +
            error,
        )
      })
      .finally(() => {
        this.#reclaiming = undefined
      })
  }

  /** Writes a snapshot of a new lineage. It replaces the snapshot with tombstones. */
  async #supersede(): Promise<void> {
    this.#contents.forgetUnused()
    this.#lineage = await newLineage(this.options.dir)
    this.#unsaved++
    await this.#save()
  }

  async #save(): Promise<void> {
    if (this.#unsaved === 0) return
    this.#unsaved = 0
    const { dir, dimension, fingerprint } = this.options
    const cursor = this.#cursor
    try {
      const historyToken = await this.host.historyTokenAt(cursor)
      // The row was compacted. This happens only if the index is behind.
      if (historyToken === undefined) return
      const header = { lineage: this.#lineage, cursor, historyToken, fingerprint, dimension }
      await writeSnapshot(dir, header, (folder) => this.#contents.save(folder))
      this.#saved = cursor
    } catch (error) {
      // A full disk must not stop searches. Only the next start takes longer.
      this.host.warn(
        `No snapshot of the vector index could be written to ${dir}: ${error}`,
        'SnapshotWarning',
      )
    }
  }
}

async function loadNewest(
  { dir, fingerprint, equals = [], dimension }: EngineOptions,
  host: EngineHost,
): Promise<Start | undefined> {
  const isOurs = async ({ cursor, historyToken }: SnapshotHeader) =>
    (await host.historyTokenAt(cursor)) === historyToken
  for await (const { folder, cursor, lineage } of wholeSnapshots(dir, {
    fingerprints: [fingerprint, ...equals],
    dimension,
    isOurs,
  })) {
    try {
      return { contents: await Contents.load(folder, dimension), cursor, lineage }
    } catch {
      // Another process removed the snapshot, or the snapshot is truncated. Try an older one.
    }
  }
  return undefined
}

async function startEmpty({ dir, dimension }: EngineOptions): Promise<Start> {
  return { contents: Contents.empty(dimension), cursor: 0, lineage: await newLineage(dir) }
}
