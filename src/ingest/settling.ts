import type { FileFacts } from '../gallery/catalogue.js'
import { fileFacts, isSame } from './file-facts.js'

const LOOKS_AT_ONCE = 64

/** Paths at which something has changed, until that stands still: a file that is still being written is not ready. */
export class Settling {
  readonly #settleMs: number
  readonly #seen = new Map<string, Sight>()

  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  saw(path: string): void {
    if (!this.#seen.has(path)) this.#seen.set(path, { facts: null, sinceMs: performance.now() })
  }

  /** Looks at all, and answers and forgets those whose size and time, or absence, have stood still for long enough. */
  async ready(): Promise<string[]> {
    const ready: string[] = []
    const paths = [...this.#seen.keys()]
    for (let from = 0; from < paths.length; from += LOOKS_AT_ONCE) {
      const slice = paths.slice(from, from + LOOKS_AT_ONCE)
      const settled = await Promise.all(slice.map((path) => this.#hasSettled(path)))
      ready.push(...slice.filter((_, i) => settled[i]))
    }
    for (const path of ready) this.#seen.delete(path)
    return ready
  }

  async #hasSettled(path: string): Promise<boolean> {
    const facts = await fileFacts(path).catch(() => GONE)
    const before = this.#seen.get(path)
    if (before?.facts && isSame(before.facts, facts)) return performance.now() - before.sinceMs >= this.#settleMs
    this.#seen.set(path, { facts, sinceMs: performance.now() })
    return false
  }
}

interface Sight {
  readonly facts: FileFacts | null // null: not yet looked at
  readonly sinceMs: number
}

const GONE: FileFacts = { bytes: -1, mtimeMs: 0 }
