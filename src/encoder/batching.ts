/** The content of a batch: audio, frames, or the audio and frames of one segment. */
export type BatchKind = 'sound' | 'frame' | 'segment'
/** Priority of an item: queries overtake ingestion. */
export type Priority = 'query' | 'ingest'

/**
 * The most items in a batch. Larger batches gain nothing on a CPU. A query waits longer behind
 * them.
 */
export const MAX_BATCH: Readonly<Record<BatchKind, number>> = { sound: 8, frame: 16, segment: 1 }

/** An item in a BatchQueue. */
export interface Waiting {
  readonly kind: BatchKind
}

/**
 * Queues items for the worker. Queries overtake ingestion. Within a priority the oldest item sets
 * the kind of the next batch.
 */
export class BatchQueue<Item extends Waiting> {
  readonly #lanes: Readonly<Record<Priority, Item[]>> = { query: [], ingest: [] }

  /** Adds an item. */
  push(item: Item, priority: Priority): void {
    this.#lanes[priority].push(item)
  }

  /** Removes and returns the next batch, of one kind and one priority. Empty if the queue is. */
  take(): Item[] {
    const lane = this.#lanes.query.length > 0 ? this.#lanes.query : this.#lanes.ingest
    const kind = lane[0]?.kind
    if (!kind) return []
    const batch = lane.filter((item) => item.kind === kind).slice(0, MAX_BATCH[kind])
    const taken = new Set(batch)
    lane.splice(0, lane.length, ...lane.filter((item) => !taken.has(item)))
    return batch
  }

  /** Removes a canceled item. Returns false if it already is in a batch. */
  drop(item: Item): boolean {
    for (const lane of Object.values(this.#lanes)) {
      const at = lane.indexOf(item)
      if (at >= 0) return lane.splice(at, 1).length > 0
    }
    return false
  }

  /** Removes and returns all items. */
  drain(): Item[] {
    return Object.values(this.#lanes).flatMap((lane) => lane.splice(0))
  }
}
