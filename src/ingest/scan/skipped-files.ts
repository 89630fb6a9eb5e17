import type { SkippedExtensions } from '../../jobs/jobs.js'

const MOST_EXTENSIONS = 100
const LONGEST_EXTENSION = 16
const OTHERS = 'others'

/** Counts files that a scan does not take for media, by extension: as many as can be shown. */
export class SkippedFiles {
  readonly #counts = new Map<string, number>()

  add(extension: string): void {
    const isShown = this.#counts.has(extension) || this.#counts.size < MOST_EXTENSIONS
    const name = isShown && extension.length <= LONGEST_EXTENSION ? extension : OTHERS
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  get counts(): SkippedExtensions {
    return Object.fromEntries(this.#counts)
  }
}
