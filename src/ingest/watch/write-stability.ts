import type { FileStat } from '../../domain/file-stat.js'
import { isSameStat, statFile } from '../../storage/file-stat.js'

const STAT_CONCURRENCY = 64

/** Paths at which something has changed, until that stands still: a file that is still being written is not ready. */
export class WriteStability {
  readonly #settleMs: number
  readonly #seen = new Map<string, Observation>()

  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  get isEmpty(): boolean {
    return this.#seen.size === 0
  }

  touch(path: string): void {
    if (!this.#seen.has(path)) this.#seen.set(path, { facts: null, sinceMs: performance.now() })
  }

  /** Looks at all, and answers and forgets those whose size and time, or absence, have stood still for long enough. */
  async takeStable(): Promise<string[]> {
    const ready: string[] = []
    const paths = [...this.#seen.keys()]
    for (let from = 0; from < paths.length; from += STAT_CONCURRENCY) {
      const slice = paths.slice(from, from + STAT_CONCURRENCY)
      const settled = await Promise.all(slice.map((path) => this.#hasSettled(path)))
      ready.push(...slice.filter((_, i) => settled[i]))
    }
    for (const path of ready) this.#seen.delete(path)
    return ready
  }

  async #hasSettled(path: string): Promise<boolean> {
    const facts = await statFile(path).catch(() => ABSENT)
    const before = this.#seen.get(path)
    if (before?.facts && isSameStat(before.facts, facts))
      return performance.now() - before.sinceMs >= this.#settleMs
    this.#seen.set(path, { facts, sinceMs: performance.now() })
    return false
  }
}

interface Observation {
  readonly facts: FileStat | null // null: not yet looked at
  readonly sinceMs: number
}

const ABSENT: FileStat = { bytes: -1, mtimeMs: 0 }
