import type { Modality } from '../domain.js'

export type Priority = 'query' | 'ingest'

/** More than this gains nothing on a CPU and makes a query wait longer behind a batch of ingestion. */
export const MAX_BATCH: Readonly<Record<Modality, number>> = { audio: 8, visual: 16 }

export interface Waiting {
  readonly modality: Modality
}

/** Items that wait for the worker. Queries overtake ingestion; inside a priority the oldest sets the next batch's modality. */
export class BatchQueue<Item extends Waiting> {
  readonly #lanes: Readonly<Record<Priority, Item[]>> = { query: [], ingest: [] }

  push(item: Item, priority: Priority): void {
    this.#lanes[priority].push(item)
  }

  /** The next batch: all of one modality and one priority; empty when nothing waits. */
  take(): Item[] {
    const lane = this.#lanes.query.length > 0 ? this.#lanes.query : this.#lanes.ingest
    const modality = lane[0]?.modality
    if (!modality) return []
    const batch = lane.filter((item) => item.modality === modality).slice(0, MAX_BATCH[modality])
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
