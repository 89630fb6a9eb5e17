import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, relative, resolve, sep } from 'node:path'
import { joinedPath, pathBytes, pathText } from '../../domain/path-text.js'
import { isNotFound } from '../../errors.js'
import type { FoundFile } from '../../jobs/jobs.js'
import { isInside, realPathInside } from '../../storage/path-within.js'
import { type FileFilter, fileFilter } from './file-filter.js'

/** Options of `scan`. */
export interface ScanOptions {
  readonly include?: readonly string[] // globs of files; none: media extensions
  readonly ignore?: readonly string[] // globs of files and folders
  readonly followLinks?: boolean // enters linked folders; links to files are always followed
  readonly within?: readonly string[] // folders that must contain link targets; none: any
  readonly except?: readonly string[] // folders that the scan does not enter
  readonly defaultIgnores?: boolean
  readonly onWarning: (detail: string) => void
  /** Receives the extension, without the dot, of each file that is not media. */
  readonly onSkipped?: (extension: string) => void
}

/** A file that a scan found. */
export interface ScannedFile extends FoundFile {
  readonly isNamed: boolean // the file is a source itself
}

const STAT_CONCURRENCY = 64 // a network mount answers 64 calls as fast as one

/**
 * Yields the files to index under the sources, depth first and by name within a folder. Skips what
 * it cannot read, with a warning. Enters each linked folder once, so that links cannot form a loop.
 */
export async function* scan(
  sources: readonly string[],
  options: ScanOptions,
): AsyncGenerator<ScannedFile> {
  const paths = sources.map((source) => resolve(source))
  const walk = new Walk(paths, options)
  for (const source of paths) {
    const bytes = pathBytes(source)
    if (!(await walk.mayEnter(bytes))) continue
    const stats = await stat(bytes).catch(() => null)
    if (stats?.isDirectory()) yield* walk.folder(bytes, '')
    else
      yield { path: source, bytes: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0, isNamed: true }
  }
}

class Walk {
  readonly #options: ScanOptions
  readonly #selection: FileFilter
  readonly #entered = new Set<string>()
  readonly #linked = new Set<string>() // targets of links to files
  readonly #sources: readonly string[]
  #excepted: Promise<readonly (string | null)[]> | undefined

  constructor(sources: readonly string[], options: ScanOptions) {
    this.#sources = sources
    this.#options = options
    this.#selection = fileFilter(options.include, options.ignore, options.defaultIgnores)
  }

  /** Yields the files of a folder. `below` is its path below the source, for globs. */
  async *folder(folder: Buffer, below: string): AsyncGenerator<ScannedFile> {
    const identity = await identityOf(folder)
    if (await this.#isExcepted(identity)) return
    if (this.#options.followLinks && !this.#isNew(identity)) return
    const entries = await this.#entries(folder)
    for (let from = 0; from < entries.length; from += STAT_CONCURRENCY) {
      const slice = entries.slice(from, from + STAT_CONCURRENCY)
      const looks = await Promise.all(slice.map((entry) => this.#look(entry, folder, below)))
      for (const look of looks) {
        if (look?.kind === 'folder') yield* this.folder(look.path, look.below)
        else if (look) yield look.file
      }
    }
  }

  /** Returns true if a source is still inside the allowed folders: a link may replace it. */
  async mayEnter(source: Buffer): Promise<boolean> {
    const { within = [] } = this.#options
    if (within.length === 0) return true
    const real = await realPathInside(within, pathText(source)).catch(() => pathText(source))
    if (real === null) this.#skip(source, new Error('it leads out of the roots'))
    return real !== null
  }

  async #entries(folder: Buffer): Promise<Dirent<Buffer>[]> {
    try {
      const found = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
      return found.sort((a, b) => a.name.compare(b.name))
    } catch (error) {
      this.#skip(folder, error)
      return []
    }
  }

  async #look(entry: Dirent<Buffer>, folder: Buffer, above: string): Promise<WalkEntry | null> {
    const path = joinedPath(folder, entry.name)
    const name = pathText(entry.name)
    const below = above === '' ? name : `${above}/${name}`
    if (this.#selection.ignores(below)) return null
    if (entry.isDirectory()) return { kind: 'folder', path, below }
    const isWanted = this.#selection.takes(below)
    if (entry.isSymbolicLink())
      return isWanted || this.#options.followLinks ? this.#follow(path, below, isWanted) : null
    if (entry.isFile() && !isWanted && this.#reports(name)) {
      this.#options.onSkipped?.(extname(name).slice(1).toLowerCase())
    }
    return entry.isFile() && isWanted ? this.#file(path) : null
  }

  async #follow(path: Buffer, below: string, isWanted: boolean): Promise<WalkEntry | null> {
    try {
      const target = await stat(path)
      if (!(isWanted && target.isFile()) && !(this.#options.followLinks && target.isDirectory()))
        return null
      const { within = [] } = this.#options
      if (within.length > 0 && !(await realPathInside(within, pathText(path))))
        throw new Error('it leads out of the roots')
      // The path of a clip contains no links.
      const real = await realpath(path, { encoding: 'buffer' })
      if (target.isDirectory()) return { kind: 'folder', path: real, below }
      return this.#isFoundElsewhere(pathText(real)) ? null : await this.#file(real)
    } catch (error) {
      this.#skip(path, error)
      return null
    }
  }

  /** Returns true if the scan finds a link's target without the link or through another link. */
  #isFoundElsewhere(real: string): boolean {
    if (this.#linked.has(real)) return true
    this.#linked.add(real)
    const source = this.#sources.find((source) => isInside(source, real))
    if (source === undefined) return false
    const parts = relative(source, real).split(sep)
    const folders = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
    return (
      this.#selection.takes(parts.join('/')) &&
      !folders.some((path) => this.#selection.ignores(path))
    )
  }

  async #file(bytes: Buffer): Promise<WalkEntry | null> {
    try {
      const { size, mtimeMs } = await stat(bytes)
      return { kind: 'file', file: { path: pathText(bytes), bytes: size, mtimeMs, isNamed: false } }
    } catch (error) {
      // A file that is deleted after the folder is read is no error.
      if (!isNotFound(error)) this.#skip(bytes, error)
      return null
    }
  }

  /** Returns true if a folder is excepted, under any of its names. */
  async #isExcepted(identity: string | null): Promise<boolean> {
    const { except = [] } = this.#options
    this.#excepted ??= Promise.all(except.map((folder) => identityOf(pathBytes(folder))))
    return identity !== null && (await this.#excepted).includes(identity)
  }

  #isNew(identity: string | null): boolean {
    if (identity === null) return true // the read reports the error
    if (this.#entered.has(identity)) return false
    this.#entered.add(identity)
    return true
  }

  /**
   * Returns true if a skipped file is reported: it is not hidden, and there are no `include` globs.
   */
  #reports(name: string): boolean {
    return !name.startsWith('.') && (this.#options.include ?? []).length === 0
  }

  #skip(path: Buffer, error: unknown): void {
    this.#options.onWarning(
      `${pathText(path)} is passed over: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

async function identityOf(folder: Buffer): Promise<string | null> {
  return await stat(folder, { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => null,
  )
}

type WalkEntry =
  | { kind: 'folder'; path: Buffer; below: string }
  | { kind: 'file'; file: ScannedFile }
