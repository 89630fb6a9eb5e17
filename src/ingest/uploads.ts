import { copyFile, link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { KeyedMutex } from '../concurrency/keyed-mutex.js'
import { SingleFlight } from '../concurrency/single-flight.js'
import type { Clip } from '../domain/clip.js'
import type { ClipId } from '../domain/ids.js'
import { pathBytes, plainPath } from '../domain/path-text.js'
import { isNotFound, toAppError } from '../errors.js'
import type { Catalogue } from '../gallery/catalogue/catalogue.js'
import { removeClips, setMissing } from '../gallery/catalogue/write-clips.js'
import type { Gallery } from '../gallery/gallery.js'
import { flush } from '../storage/atomic-file.js'
import type { DataLayout } from '../storage/data-layout.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { restoredAt } from '../storage/restore-mark.js'
import { type IngestDeps, type Ingested, ingestFile } from './ingest-file.js'
import { isMediaName } from './scan/file-filter.js'
import { removeThumbnails } from './thumbnails.js'

/** A file that a client uploaded, before it is stored. */
export interface UploadedFile {
  readonly path: string // temporary file on the disk of the library
  readonly file: OpenedFile // the file at `path`, open
  readonly filename: string // its name at the client
}

/** Matches the name of a stored file: the SHA-256 of its content and an optional extension. */
const STORED_NAME = /^[0-9a-f]{64}(\.[0-9a-z]+)?$/
const PAGE = 500 // files

/**
 * Stores uploaded files by content hash. Work on the same content runs in sequence, so that an
 * upload does not lose its file to a removal or to another upload.
 */
export class UploadStore {
  readonly #flights = new SingleFlight()
  readonly #mutex = new KeyedMutex()

  readonly #media: string // in the text form of the catalogue

  constructor(private readonly folders: Pick<DataLayout, 'media' | 'thumbnails'>) {
    this.#media = plainPath(folders.media)
  }

  /**
   * Stores an uploaded file and indexes it. Content that is already stored is not indexed again.
   * Equal uploads at the same time run once and get the same result. A missing stored file is
   * restored from the upload. A file that cannot be indexed is deleted.
   */
  async add(upload: UploadedFile, deps: IngestDeps): Promise<Ingested> {
    const hash = await upload.file.contentHash(deps.signal)
    const work = (signal: AbortSignal) => this.#add(hash, upload, { ...deps, signal })
    return await this.#flights.join(hash, deps.signal, work)
  }

  async #add(hash: string, upload: UploadedFile, deps: IngestDeps): Promise<Ingested> {
    using _lock = await this.#mutex.acquire(hash)
    const { catalogue } = deps.gallery
    const known = await this.#clipOf(hash, catalogue)
    if (known) {
      await this.#restore(known, upload, catalogue)
      return { outcome: 'unchanged', clip: known }
    }
    const path = this.#pathOf(hash, upload.filename)
    await store(upload, path)
    try {
      return await ingestFile(path, deps, { hash, title: upload.file.name })
    } catch (error) {
      if (!(await catalogue.clipAt(path))) await rm(pathBytes(path), { force: true })
      throw error
    }
  }

  /**
   * Removes clips and their thumbnails, and deletes the files of uploaded clips. Returns the number
   * of removed clips.
   */
  async remove(ids: readonly ClipId[], { catalogue }: Gallery): Promise<number> {
    const clips = [...(await catalogue.clipsById(ids)).values()]
    if (clips.length === 0) return 0
    const hashes = clips.flatMap(({ hash }) => hash ?? [])
    // Locks in sorted order cannot deadlock.
    const keys = [...new Set(clips.map((clip) => this.#contentOf(clip)))].sort()
    const locks: Disposable[] = []
    try {
      for (const key of keys) locks.push(await this.#mutex.acquire(key))
      const removed = await this.#removeClips(clips, catalogue)
      await this.#deleteFiles(clips)
      await removeThumbnails(this.folders.thumbnails, hashes, catalogue.files)
      return removed.length
    } finally {
      for (const lock of locks) lock[Symbol.dispose]()
    }
  }

  async #removeClips(clips: readonly Clip[], catalogue: Catalogue): Promise<readonly ClipId[]> {
    const ids = clips.map(({ id }) => id)
    try {
      return await removeClips(catalogue, ids)
    } catch (error) {
      const isStored = clips.some((clip) => this.#isStored(clip))
      if (toAppError(error).code !== 'DISK_FULL' || !isStored) throw error
      await this.#deleteFiles(clips) // frees the space that the removal needs
      return await removeClips(catalogue, ids)
    }
  }

  async #deleteFiles(clips: readonly Clip[]): Promise<void> {
    const stored = clips.filter((clip) => this.#isStored(clip))
    await Promise.all(stored.map(({ path }) => rm(pathBytes(path), { force: true })))
  }

  /**
   * Deletes stored files without a clip, which a killed process leaves behind. Returns their
   * number. Keeps files from before the last restore from a backup: the backup may be older than
   * the files.
   */
  async sweep({ catalogue }: Gallery): Promise<number> {
    const restoredMs = await restoredAt(this.folders.media)
    let deleted = 0
    for await (const paths of this.#storedFiles()) {
      const known = await catalogue.files.known(paths)
      for (const path of paths.filter((path) => !known.get(path)?.clip)) {
        using _lock = await this.#mutex.acquire(hashIn(path))
        if (await catalogue.clipAt(path)) continue
        if (restoredMs !== null && (await stat(pathBytes(path))).ctimeMs <= restoredMs) continue
        await rm(pathBytes(path), { force: true })
        deleted++
      }
    }
    return deleted
  }

  /** Returns an indexed clip with this content whose file is stored here. */
  async #clipOf(hash: string, catalogue: Catalogue): Promise<Clip | undefined> {
    const clips = await catalogue.clipsWithHash(hash)
    return clips.find((clip) => this.#isStored(clip))
  }

  async #restore(clip: Clip, upload: UploadedFile, catalogue: Catalogue): Promise<void> {
    const found = await stat(pathBytes(clip.path)).catch(() => null)
    if (found?.isFile() && found.size === upload.file.bytes) return
    await rm(pathBytes(clip.path), { force: true })
    await store(upload, clip.path)
    await utimes(pathBytes(clip.path), clip.mtimeMs / 1000, clip.mtimeMs / 1000)
    await setMissing(catalogue, [clip.id], false)
  }

  #pathOf(hash: string, filename: string): string {
    const extension = isMediaName(filename) ? extname(filename).toLowerCase() : ''
    return join(this.#media, hash.slice(0, 2), hash + extension)
  }

  #isStored({ path }: Clip): boolean {
    return path.startsWith(join(this.#media, '/'))
  }

  /** Returns the content hash of a clip. A pending upload has the hash in its name. */
  #contentOf(clip: Clip): string {
    return clip.hash ?? (this.#isStored(clip) ? hashIn(clip.path) : clip.id)
  }

  async *#storedFiles(): AsyncGenerator<readonly string[]> {
    for (const folder of await namesIn(this.#media)) {
      const dir = join(this.#media, folder)
      const stored = (await namesIn(dir)).filter((name) => STORED_NAME.test(name))
      for (let from = 0; from < stored.length; from += PAGE) {
        yield stored.slice(from, from + PAGE).map((name) => join(dir, name))
      }
    }
  }
}

/** Stores an uploaded file atomically and flushes it to disk. */
async function store({ path: from, file }: UploadedFile, to: string): Promise<void> {
  const target = pathBytes(to)
  await mkdir(pathBytes(dirname(to)), { recursive: true })
  await flush(from)
  const found = await stat(target).catch(() => null)
  if (found && found.size !== file.bytes) await rm(target, { force: true })
  await link(from, target).catch(async (error) => {
    if (error.code === 'EEXIST') return // a process was killed before it indexed the file
    // The file system has no hard links, or the two paths are on different ones.
    const temporary = pathBytes(`${to}.tmp`)
    await copyFile(from, temporary)
    await flush(temporary)
    await rename(temporary, target)
  })
  await flush(pathBytes(dirname(to)))
}

const hashIn = (path: string): string => path.slice(path.lastIndexOf('/') + 1).slice(0, 64)

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(pathBytes(folder)).catch((error) => {
    if (isNotFound(error)) return []
    throw error
  })
}
