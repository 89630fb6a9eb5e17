/** What is encoded together: sounds, frames, or the sound and frames of one segment. */
export type BatchKind = 'sound' | 'frame' | 'segment'
export type Priority = 'query' | 'ingest'

/** More than this gains nothing on a CPU and makes a query wait longer behind a batch of ingestion. */
export const MAX_BATCH: Readonly<Record<BatchKind, number>> = { sound: 8, frame: 16, segment: 1 }

export interface Waiting {
  readonly kind: BatchKind
}

/** Items that wait for the worker. Queries overtake ingestion; inside a priority the oldest sets the next batch's kind. */
export class BatchQueue<Item extends Waiting> {
  readonly #lanes: Readonly<Record<Priority, Item[]>> = { query: [], ingest: [] }

  push(item: Item, priority: Priority): void {
    this.#lanes[priority].push(item)
  }

  /** The next batch: all of one kind and one priority; empty when nothing waits. */
  take(): Item[] {
    const lane = this.#lanes.query.length > 0 ? this.#lanes.query : this.#lanes.ingest
    const kind = lane[0]?.kind
    if (!kind) return []
    const batch = lane.filter((item) => item.kind === kind).slice(0, MAX_BATCH[kind])
    const taken = new Set(batch)
    lane.splice(0, lane.length, ...lane.filter((item) => !taken.has(item)))
    return batch
  }

  /** Takes out an item that nobody waits for any more; false where it is already on its way. */
  drop(item: Item): boolean {
    for (const lane of Object.values(this.#lanes)) {
      const at = lane.indexOf(item)
      if (at >= 0) return lane.splice(at, 1).length > 0
    }
    return false
  }

  /** Everything that still waits, taken out. */
  drain(): Item[] {
    return Object.values(this.#lanes).flatMap((lane) => lane.splice(0))
  }
}
