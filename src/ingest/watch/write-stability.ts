import type { FileStat } from '../../domain/file-stat.js'
import { isSameStat, statFile } from '../../storage/file-stat.js'

const STAT_CONCURRENCY = 64

/** Tracks changed paths until they are stable. A file that a program still writes is not stable. */
export class WriteStability {
  readonly #settleMs: number
  readonly #observed = new Map<string, Observation>()

  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  /** True if no path is tracked. */
  get isEmpty(): boolean {
    return this.#observed.size === 0
  }

  /** Starts to track a path. */
  touch(path: string): void {
    if (!this.#observed.has(path))
      this.#observed.set(path, { stat: null, sinceMs: performance.now() })
  }

  /**
   * Checks all paths. Returns and forgets the paths whose size and mtime, or absence, have not
   * changed for `settleMs`.
   */
  async takeStable(): Promise<string[]> {
    const stable: string[] = []
    const paths = [...this.#observed.keys()]
    for (let from = 0; from < paths.length; from += STAT_CONCURRENCY) {
      const slice = paths.slice(from, from + STAT_CONCURRENCY)
      const areStable = await Promise.all(slice.map((path) => this.#isStable(path)))
      stable.push(...slice.filter((_, i) => areStable[i]))
    }
    for (const path of stable) this.#observed.delete(path)
    return stable
  }

  async #isStable(path: string): Promise<boolean> {
    const stat = await statFile(path).catch(() => ABSENT)
    const before = this.#observed.get(path)
    if (before?.stat && isSameStat(before.stat, stat))
      return performance.now() - before.sinceMs >= this.#settleMs
    this.#observed.set(path, { stat, sinceMs: performance.now() })
    return false
  }
}

interface Observation {
  readonly stat: FileStat | null // null: not checked yet
  readonly sinceMs: number
}

const ABSENT: FileStat = { bytes: -1, mtimeMs: 0 }
