import type { Neighbour } from './vector-index.js'

/** Keeps the `limit` best neighbours. If scores are equal, the smaller segment id is better. */
export class TopK {
  readonly #kept: Neighbour[] = [] // best first

  constructor(readonly limit: number) {}

  /** Returns the neighbours, best first. */
  get neighbours(): readonly Neighbour[] {
    return this.#kept
  }

  /** Adds a neighbour if it is among the best. */
  push(neighbour: Neighbour): void {
    const worst = this.#kept[this.limit - 1]
    if (this.limit <= 0 || (worst && isBetter(worst, neighbour))) return
    let from = 0
    let to = this.#kept.length
    while (from < to) {
      const middle = (from + to) >> 1
      if (isBetter(this.#kept[middle] as Neighbour, neighbour)) from = middle + 1
      else to = middle
    }
    this.#kept.splice(from, 0, neighbour)
    if (this.#kept.length > this.limit) this.#kept.pop()
  }
}

const isBetter = (a: Neighbour, b: Neighbour): boolean =>
  a.score > b.score || (a.score === b.score && a.segment < b.segment)
