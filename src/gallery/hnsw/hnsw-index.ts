import type { SegmentId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import { checkEmbedding, type UnitVector } from '../../domain/vector.js'
import type { Change, ChangeLog } from '../catalogue/change-log.js'
import type { IndexInfo, NearestQuery, Neighbours, VectorIndex } from '../vector/vector-index.js'
import type { EngineOptions } from './engine.js'
import { EngineThread } from './engine-thread.js'
import { buffersOf, pack } from './packed-changes.js'

/** The options of an index and the log that it follows. */
export interface HnswOptions extends EngineOptions {
  /** Identifies snapshots of another history. */
  readonly log: Pick<ChangeLog, 'historyTokenAt'>
}

/**
 * Approximate search in memory (hnswlib) in a worker thread, with snapshots on disk. After a kill,
 * the index replays the lost changes from the log of the catalogue. An unusable snapshot therefore
 * costs only time. A snapshot is unusable if it is missing, damaged, or of another bundle or
 * history. All calls reject with INTERNAL after the thread has ended.
 */
export class HnswIndex implements VectorIndex {
  /** Starts the thread and opens the newest snapshot of this catalogue and bundle. */
  static async open({ log, ...options }: HnswOptions): Promise<HnswIndex> {
    const thread = new EngineThread(options, log)
    try {
      await thread.call('info', undefined) // resolves when the snapshot is open
      return new HnswIndex(options.dimension, thread)
    } catch (error) {
      await thread[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(
    private readonly dimension: number,
    private readonly thread: EngineThread,
  ) {}

  info(): Promise<IndexInfo> {
    return this.thread.call('info', undefined)
  }

  async apply(changes: readonly Change[], cursor: Seq): Promise<void> {
    const page = pack(changes, cursor, this.dimension)
    await this.thread.call('apply', page, { transfer: buffersOf(page) })
  }

  async nearest(query: NearestQuery, signal?: AbortSignal): Promise<Neighbours> {
    checkEmbedding(query.vector, this.dimension)
    const vector = query.vector.slice() as UnitVector // a view would transfer its whole buffer
    const input = { ...query, vector }
    const options = { transfer: [vector.buffer as ArrayBuffer], signal }
    const { segments, scores, ...rest } = await this.thread.call('nearest', input, options)
    const neighbours = Array.from(segments, (segment, i) => ({
      segment,
      score: scores[i] as number,
    }))
    return { neighbours, ...rest }
  }

  async holding(
    segments: readonly SegmentId[],
    modality: Modality,
  ): Promise<ReadonlySet<SegmentId>> {
    const input = { segments: Float64Array.from(segments), modality }
    return new Set(await this.thread.call('holding', input))
  }

  /** Saves a snapshot and ends the thread. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.thread[Symbol.asyncDispose]()
  }
}
