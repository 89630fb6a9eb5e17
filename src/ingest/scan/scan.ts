import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, relative, resolve, sep } from 'node:path'
import { joinedPath, pathBytes, pathText } from '../../domain/path-text.js'
import { isNotFound } from '../../errors.js'
import type { FoundFile } from '../../jobs/jobs.js'
import { isInside, realPathInside } from '../../storage/path-within.js'
import { type FileFilter, fileFilter } from './file-filter.js'

export interface ScanOptions {
  readonly include?: readonly string[] // globs; none: what is called as media files are
  readonly ignore?: readonly string[] // globs of files and folders
  readonly followLinks?: boolean // into folders; links to files are always followed
  readonly within?: readonly string[] // folders that no link may lead out of; none: it may lead anywhere
  readonly except?: readonly string[] // folders that are not entered
  readonly defaultIgnores?: boolean
  readonly onWarning: (detail: string) => void
  /** A file that is not taken for media, by its extension without the dot. */
  readonly onSkipped?: (extension: string) => void
}

export interface ScannedFile extends FoundFile {
  readonly isNamed: boolean // it is a source itself, not found in one
}

const STAT_CONCURRENCY = 64 // a network mount answers many as fast as one

/**
 * The files to index under the sources given, folders in depth, each in order of name. What cannot be read is warned of
 * and passed over. Folders are entered once, so that links cannot go in circles.
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
  readonly #linked = new Set<string>() // files that links lead to
  readonly #sources: readonly string[]
  #excepted: Promise<readonly (string | null)[]> | undefined

  constructor(sources: readonly string[], options: ScanOptions) {
    this.#sources = sources
    this.#options = options
    this.#selection = fileFilter(options.include, options.ignore, options.defaultIgnores)
  }

  /** `below`: the folder's path below its source, for globs. */
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

  /** Whether a source still is inside the allowed folders: a link may have taken its place. */
  async mayEnter(source: Buffer): Promise<boolean> {
    const { within = [] } = this.#options
    if (within.length === 0) return true
    const real = await realPathInside(within, pathText(source)).catch(() => pathText(source))
    if (real === null) this.#passOver(source, new Error('it leads out of the roots'))
    return real !== null
  }

  async #entries(folder: Buffer): Promise<Dirent<Buffer>[]> {
    try {
      const found = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
      return found.sort((a, b) => a.name.compare(b.name))
    } catch (error) {
      this.#passOver(folder, error)
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
      const real = await realpath(path, { encoding: 'buffer' }) // a clip's path has no links in it
      if (target.isDirectory()) return { kind: 'folder', path: real, below }
      return this.#isFoundElsewhere(pathText(real)) ? null : await this.#file(real)
    } catch (error) {
      this.#passOver(path, error)
      return null
    }
  }

  /** Whether a file that a link leads to is found without the link, or by another one. */
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
      if (!isNotFound(error)) this.#passOver(bytes, error) // else it went away since the folder was read
      return null
    }
  }

  /** Whatever name it is reached by. */
  async #isExcepted(identity: string | null): Promise<boolean> {
    const { except = [] } = this.#options
    this.#excepted ??= Promise.all(except.map((folder) => identityOf(pathBytes(folder))))
    return identity !== null && (await this.#excepted).includes(identity)
  }

  #isNew(identity: string | null): boolean {
    if (identity === null) return true // reading it will say why
    if (this.#entered.has(identity)) return false
    this.#entered.add(identity)
    return true
  }

  /** Hidden files are no media, and what is included by globs was chosen. */
  #reports(name: string): boolean {
    return !name.startsWith('.') && (this.#options.include ?? []).length === 0
  }

  #passOver(path: Buffer, error: unknown): void {
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
