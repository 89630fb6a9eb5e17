import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { AppError } from '../../errors.js'
import { type DataLayout, dataLayout } from '../../storage/data-layout.js'
import type { GalleryBundle, GalleryRef, GalleryRegistry } from '../registry/gallery-registry.js'
import {
  type Galleries,
  type GalleryEntry,
  readGalleries,
  writeGalleries,
} from './galleries-file.js'
import { readHeader } from './header.js'
import { lockFolder } from './lock.js'

/** The first gallery is in the data folder itself. Each further gallery has its own folder. */
const ROOT_DIR = '.'
const ROOT_FILES = [
  'catalogue.sqlite',
  'catalogue.sqlite-wal',
  'catalogue.sqlite-shm',
  'reserve',
  'index',
]

/** The paths of a gallery. */
export interface GalleryFiles {
  readonly dir: string // contains the lock of its writer
  readonly catalogue: string
  readonly index: string
}

/**
 * Stores galleries in folders of the data folder. A JSON file names the gallery that serves.
 * Without this file, the first gallery serves.
 */
export class FileGalleryRegistry implements GalleryRegistry {
  readonly #layout: DataLayout

  constructor(
    dataDir: string,
    private readonly firstBundle: string, // of galleries that the JSON file does not name
  ) {
    this.#layout = dataLayout(dataDir)
  }

  /** Returns the paths of a gallery. */
  filesOf({ id }: Pick<GalleryRef, 'id'>): GalleryFiles {
    const dir = join(this.#layout.dir, id)
    return { dir, catalogue: join(dir, 'catalogue.sqlite'), index: join(dir, 'index') }
  }

  async current(): Promise<GalleryRef | undefined> {
    const galleries = this.#read()
    if (!galleries) return this.#exists(ROOT_DIR) ? this.#refOf(ROOT_DIR) : undefined
    const { current, next } = galleries
    if (!next || this.#headerOf(current.dir)?.successor !== next.fingerprint) return toRef(current)
    this.#write({ current: next, next: null, previous: current })
    return toRef(next)
  }

  async previous(): Promise<GalleryRef | null> {
    const previous = this.#read()?.previous
    return previous ? toRef(previous) : null
  }

  async create({ bundle, fingerprints }: GalleryBundle): Promise<GalleryRef> {
    const [fingerprint = null] = fingerprints
    if (!(await this.current())) return { id: ROOT_DIR, bundle, fingerprint }
    const previous = await this.previous()
    if (previous?.fingerprint && fingerprints.includes(previous.fingerprint)) {
      return { id: previous.id, bundle, fingerprint }
    }
    const folder = basename(this.#layout.galleries)
    const dirs = fingerprints.map((each) => join(folder, each.slice(0, 16)))
    const dir = dirs.find((each) => this.#exists(each)) ?? dirs[0]
    if (dir === undefined) throw new AppError('INTERNAL', 'Expected the fingerprint of a bundle')
    return { id: dir, bundle, fingerprint }
  }

  /** Writes the intention first, so that `current` can complete an interrupted cut-over. */
  async cutOver(
    from: GalleryRef,
    to: GalleryRef,
    retire: () => Promise<boolean>,
  ): Promise<boolean> {
    const previous = this.#read()?.previous ?? null
    this.#write({ current: toEntry(from), next: toEntry(to), previous })
    if (!(await retire())) return false
    this.#write({ current: toEntry(to), next: null, previous: toEntry(from) })
    return true
  }

  async replace(to: GalleryRef): Promise<void> {
    this.#write({ current: toEntry(to), next: null, previous: null })
  }

  async others(): Promise<readonly GalleryRef[]> {
    const current = await this.current()
    const names = await readdir(this.#layout.galleries).catch(() => [])
    const dirs = names.map((name) => join(basename(this.#layout.galleries), name))
    const all = this.#headerOf(ROOT_DIR) ? [ROOT_DIR, ...dirs] : dirs
    return all.filter((dir) => dir !== current?.id).map((dir) => this.#refOf(dir))
  }

  async remove(gallery: GalleryRef): Promise<void> {
    const { dir } = this.filesOf(gallery)
    await using _lock = await lockFolder(dir)
    const galleries = this.#read()
    if (galleries) this.#write({ current: galleries.current, next: null, previous: null })
    // The first gallery shares its folder with the rest of the library.
    const paths = gallery.id === ROOT_DIR ? ROOT_FILES.map((name) => join(dir, name)) : [dir]
    for (const path of paths) await rm(path, { recursive: true, force: true })
  }

  /** Opens no catalogue: a server asks for the current gallery every second. */
  #refOf(dir: string): GalleryRef {
    return { id: dir, bundle: this.firstBundle, fingerprint: null }
  }

  #exists(dir: string): boolean {
    return existsSync(this.filesOf({ id: dir }).catalogue)
  }

  #headerOf(dir: string) {
    return readHeader(this.filesOf({ id: dir }).catalogue)
  }

  #read(): Galleries | undefined {
    return readGalleries(this.#layout.galleriesFile)
  }

  #write(galleries: Galleries): void {
    writeGalleries(this.#layout.galleriesFile, galleries)
  }
}

const toRef = ({ dir, bundle, fingerprint }: GalleryEntry): GalleryRef => ({
  id: dir,
  bundle,
  fingerprint,
})

function toEntry({ id, bundle, fingerprint }: GalleryRef): GalleryEntry {
  if (fingerprint !== null) return { dir: id, bundle, fingerprint }
  throw new AppError('INTERNAL', `Gallery ${id} has no fingerprint yet`)
}
