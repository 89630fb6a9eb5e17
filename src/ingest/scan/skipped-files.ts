import type { SkippedExtensions } from '../../jobs/jobs.js'

const MOST_EXTENSIONS = 100 // in a report
const LONGEST_EXTENSION = 16 // characters
const OTHERS = 'others'

/** Counts the files that a scan skips, by extension. Rare and long extensions count as `others`. */
export class SkippedFiles {
  readonly #counts = new Map<string, number>()

  /** Counts one file. */
  add(extension: string): void {
    const isShown = this.#counts.has(extension) || this.#counts.size < MOST_EXTENSIONS
    const name = isShown && extension.length <= LONGEST_EXTENSION ? extension : OTHERS
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  /** Numbers of files by extension. */
  get counts(): SkippedExtensions {
    return Object.fromEntries(this.#counts)
  }
}
