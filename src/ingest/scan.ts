import type { BigIntStats, Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isNotFound } from '../errors.js'
import type { FoundFile } from '../gallery/jobs.js'
import { joinedPath, pathBytes, pathText } from '../path-text.js'
import { realPathInside } from '../storage/path-within.js'
import { type Selection, selection } from './globs.js'

export interface ScanOptions {
  readonly include?: readonly string[] // globs; none: what is called as media files are
  readonly ignore?: readonly string[] // globs of files and folders
  readonly followLinks?: boolean // into folders; links to files are always followed
  readonly within?: readonly string[] // folders that no link may lead out of; none: it may lead anywhere
  readonly except?: readonly string[] // folders that are not entered
  readonly onWarning: (detail: string) => void
}

export interface ScannedFile extends FoundFile {
  readonly isNamed: boolean // it is a source itself, not found in one
}

const LOOKS_AT_ONCE = 64 // a network mount answers many as fast as one

/**
 * The files to index under the sources given, folders in depth, each in order of name. What cannot be read is warned of
 * and passed over. Folders are entered once, so that links cannot go in circles.
 */
export async function* scan(sources: readonly string[], options: ScanOptions): AsyncGenerator<ScannedFile> {
  const walk = new Walk(options)
  for (const source of sources.map((source) => resolve(source))) {
    const bytes = pathBytes(source)
    if (!(await walk.mayEnter(bytes))) continue
    const stats = await stat(bytes).catch(() => null)
    if (stats?.isDirectory()) yield* walk.folder(bytes, '')
    else yield { path: source, bytes: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0, isNamed: true }
  }
}

class Walk {
  readonly #options: ScanOptions
  readonly #selection: Selection
  readonly #entered = new Set<string>()

  constructor(options: ScanOptions) {
    this.#options = options
    this.#selection = selection(options.include, options.ignore)
  }

  /** `below`: the folder's path below its source, for globs. */
  async *folder(folder: Buffer, below: string): AsyncGenerator<ScannedFile> {
    if (this.#options.except?.includes(pathText(folder))) return
    if (this.#options.followLinks && !(await this.#isNew(folder))) return
    const entries = await this.#entries(folder)
    for (let from = 0; from < entries.length; from += LOOKS_AT_ONCE) {
      const slice = entries.slice(from, from + LOOKS_AT_ONCE)
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

  async #look(entry: Dirent<Buffer>, folder: Buffer, above: string): Promise<Look | null> {
    const path = joinedPath(folder, entry.name)
    const name = pathText(entry.name)
    const below = above === '' ? name : `${above}/${name}`
    if (this.#selection.ignores(below)) return null
    if (entry.isDirectory()) return { kind: 'folder', path, below }
    const isWanted = this.#selection.takes(below)
    if (entry.isSymbolicLink())
      return isWanted || this.#options.followLinks ? this.#follow(path, below, isWanted) : null
    return entry.isFile() && isWanted ? this.#file(path) : null
  }

  async #follow(path: Buffer, below: string, isWanted: boolean): Promise<Look | null> {
    try {
      const target = await stat(path)
      if (!(isWanted && target.isFile()) && !(this.#options.followLinks && target.isDirectory())) return null
      const { within = [] } = this.#options
      if (within.length > 0 && !(await realPathInside(within, pathText(path))))
        throw new Error('it leads out of the roots')
      return target.isDirectory() ? { kind: 'folder', path, below } : await this.#file(path)
    } catch (error) {
      this.#passOver(path, error)
      return null
    }
  }

  async #file(bytes: Buffer): Promise<Look | null> {
    try {
      const { size, mtimeMs } = await stat(bytes)
      return { kind: 'file', file: { path: pathText(bytes), bytes: size, mtimeMs, isNamed: false } }
    } catch (error) {
      if (!isNotFound(error)) this.#passOver(bytes, error) // else it went away since the folder was read
      return null
    }
  }

  async #isNew(folder: Buffer): Promise<boolean> {
    const stats: BigIntStats | null = await stat(folder, { bigint: true }).catch(() => null)
    if (!stats) return true // reading it will say why
    const identity = `${stats.dev}:${stats.ino}`
    if (this.#entered.has(identity)) return false
    this.#entered.add(identity)
    return true
  }

  #passOver(path: Buffer, error: unknown): void {
    this.#options.onWarning(
      `${pathText(path)} is passed over: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

type Look = { kind: 'folder'; path: Buffer; below: string } | { kind: 'file'; file: ScannedFile }
