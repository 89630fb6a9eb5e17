import { readFileSync } from 'node:fs'
import { AppError, isNotFound } from '../errors.js'
import { writeAtomic } from './atomic-file.js'
import { dataLayout } from './data-layout.js'
import { isInside } from './path-within.js'

/**
 * The files and folders, by real path, that the owner of the library indexed on this machine. The
 * server serves only files of these and of its configured folders. The list is not part of a
 * backup: a backup from elsewhere cannot name files of this machine.
 */
export class SourceList {
  #sources: readonly string[]

  private constructor(
    private readonly file: string,
    sources: readonly string[],
  ) {
    this.#sources = sources
  }

  /** Reads the list. Returns undefined if the library has no list yet. Throws DATA_UNUSABLE. */
  static open(dataDir: string): SourceList | undefined {
    const file = dataLayout(dataDir).sources
    try {
      const { sources } = JSON.parse(readFileSync(file, 'utf8'))
      return new SourceList(file, sources)
    } catch (cause) {
      if (isNotFound(cause)) return undefined
      const detail = `${file} cannot be read: ${(cause as Error).message}`
      throw new AppError('DATA_UNUSABLE', detail, { cause })
    }
  }

  /** Creates a list for a library that has none. The first change writes the file. */
  static of(dataDir: string, sources: readonly string[]): SourceList {
    return new SourceList(dataLayout(dataDir).sources, sources)
  }

  /** The sources, as real paths. */
  get paths(): readonly string[] {
    return this.#sources
  }

  /** Adds sources that no known source contains, and writes the file. */
  add(sources: readonly string[]): void {
    const isKnown = (path: string) => this.#sources.some((source) => isInside(source, path))
    const unknown = sources.filter((path) => !isKnown(path))
    if (unknown.length > 0) this.#sources = [...this.#sources, ...unknown]
    this.save()
  }

  /** Writes the file. */
  save(): void {
    writeAtomic(this.file, `${JSON.stringify({ sources: this.#sources }, undefined, 2)}\n`)
  }
}
