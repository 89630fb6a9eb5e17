import { cooperativeYield } from '../../concurrency/cooperative-yield.js'
import type { SegmentId, Seq } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import type { Change, ChangeLog } from '../catalogue/change-log.js'
import type { IndexInfo, NearestQuery, Neighbours } from '../vector/vector-index.js'
import { Contents } from './contents.js'
import { newLineage, type SnapshotHeader, wholeSnapshots, writeSnapshot } from './snapshot.js'

const SNAPSHOT_AFTER = 5_000 // changes, or a tenth of what it holds: replaying them takes seconds
const SLICE_MS = 0.2 // a query waits for this, or for one insertion

/** Where an index keeps its snapshots, and which snapshots are its own. */
export interface EngineOptions {
  readonly dir: string // of its snapshots
  readonly dimension: number
  readonly fingerprint: string
  readonly equals?: readonly string[] // fingerprints of the same embeddings
  readonly from?: 'snapshot' | 'empty'
  readonly snapshotAfter?: number
}

/** What the thread of an engine asks of the main thread. */
export interface EngineHost extends Pick<ChangeLog, 'historyTokenAt'> {
  warn(message: string, type?: string): void
  /** Is called between insertions. It blocks for ever if the process exits. */
  pass(): void
}

interface Start {
  readonly contents: Contents
  readonly cursor: Seq
  readonly lineage: string
}

/** The index itself: follows the log, answers queries between insertions, and writes snapshots. */
export class HnswEngine {
  readonly #contents: Contents
  readonly #closing = new AbortController()
  #lineage: string
  #cursor: Seq
  #saved: Seq
  #unsaved = 0 // changes since the last snapshot
  #last: Promise<unknown> = Promise.resolve()
  #reclaiming: Promise<void> | undefined

  /** Opens the newest snapshot that is whole, else begins with an empty index. */
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

  /** Applies changes in order and moves the cursor. Writes a snapshot if many are unsaved. */
  apply(changes: Iterable<Change>, cursor: Seq): Promise<void> {
    return this.#inTurn(async () => {
      const breathe = this.#breathing()
      for (const change of changes) {
        if (change.seq > this.#cursor) this.#applyOne(change)
        await breathe()
      }
      this.#cursor = Math.max(this.#cursor, cursor)
      this.#reclaim()
      if (this.#unsaved >= this.#snapshotAfter) await this.#save()
    })
  }

  /** Answers with what is applied by now. */
  nearest(query: NearestQuery): Neighbours {
    return { ...this.#contents.nearest(query), generation: this.#lineage }
  }

  /** Returns those of the segments that have a vector of the modality. */
  holding(segments: readonly SegmentId[], modality: Modality): readonly SegmentId[] {
    return segments.filter((segment) => this.#contents.has(segment, modality))
  }

  /** Saves what is unsaved. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#reclaiming
    await this.#inTurn(() => this.#save())
  }

  get #snapshotAfter(): number {
    const { audio, visual } = this.#contents.sizes
    return this.options.snapshotAfter ?? Math.max(SNAPSHOT_AFTER, (audio + visual) / 10)
  }

  /** Runs one work at a time: a graph must not change while it is being written. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Returns what is called between insertions, so that queries are answered. */
  #breathing(): () => Promise<void> | undefined {
    const breathe = cooperativeYield(SLICE_MS)
    return () => {
      this.host.pass()
      return breathe()
    }
  }

  #applyOne(change: Change): void {
    this.#contents.apply(change)
    this.#cursor = change.seq
    this.#unsaved++
  }

  /** Takes the tombstones out in the background: neither queries nor changes wait for it. */
  #reclaim(): void {
    const { graphs } = this.#contents
    const sparse = MODALITIES.map((modality) => graphs[modality]).filter(({ isSparse }) => isSparse)
    const { signal } = this.#closing
    if (sparse.length === 0 || this.#reclaiming || signal.aborted) return
    const reclaim = async () => {
      for (const graph of sparse) {
        const finish = await graph.rebuild(this.#breathing(), signal)
        await this.#inTurn(async () => finish())
      }
      await this.#inTurn(() => this.#supersede())
    }
    this.#reclaiming = reclaim()
      .catch((error) => {
        if (signal.aborted) return
        this.host.warn(
          `Dropped vectors could not be reclaimed, and stay until it is tried again: ${error}`,
        )
      })
      .finally(() => {
        this.#reclaiming = undefined
      })
  }

  /** Saves a snapshot of a later lineage, which replaces the one with tombstones. */
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
      // Compacted away: only an index that is behind has its cursor there.
      if (historyToken === undefined) return
      const of = { lineage: this.#lineage, cursor, historyToken, fingerprint, dimension }
      await writeSnapshot(dir, of, (folder) => this.#contents.save(folder))
      this.#saved = cursor
    } catch (error) {
      // A search that works is not refused for a full disk: only the next start takes longer.
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
      // Removed by another process while it was read, or cut when it was written: try an older one.
    }
  }
  return undefined
}

async function startEmpty({ dir, dimension }: EngineOptions): Promise<Start> {
  return { contents: Contents.empty(dimension), cursor: 0, lineage: await newLineage(dir) }
}
