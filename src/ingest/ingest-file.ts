import { resolve } from 'node:path'
import type { KeyedMutex } from '../concurrency/keyed-mutex.js'
import type { Clip } from '../domain/clip.js'
import { plainPath } from '../domain/path-text.js'
import { noTimings } from '../embed/embed.js'
import type { Encoder } from '../encoder/encoder.js'
import type { Catalogue } from '../gallery/catalogue/catalogue.js'
import type { HashedFile, MovedFile } from '../gallery/catalogue/changes.js'
import { copyClip, moveClip, putClip, touchClip } from '../gallery/catalogue/write-clips.js'
import type { Gallery } from '../gallery/gallery.js'
import type { ItemEnd, Lease, Outcome } from '../jobs/jobs.js'
import { isMissing, isSameStat } from '../storage/file-stat.js'
import { OpenedFile } from '../storage/opened-file.js'
import { realPath } from '../storage/path-within.js'
import { type EncodeDeps, encodeFile } from './encode-file.js'

/** What `ingestFile` needs to add a file to a gallery. */
export interface IngestDeps extends EncodeDeps {
  readonly encoder: Pick<Encoder, 'bundle' | 'encodeSegment' | 'isAvailable' | 'restarted'>
  readonly gallery: Gallery
  readonly hashMutex?: KeyedMutex // of several equal files at once, one is encoded
}

/** What a caller knows of a file, and the limits that it sets. */
export interface IngestOptions {
  readonly hash?: string | undefined // SHA-256 of the content, if known
  readonly lease?: Lease // job item that this file completes
  readonly within?: readonly string[] | undefined // real paths of the allowed folders
  readonly title?: string | undefined // of an upload: its name at the client
}

/** The clip of a file and how it came into the library. */
export interface Ingested {
  readonly outcome: Outcome
  readonly clip: Clip
}

/**
 * Adds a file to the library as a clip, atomically. Skips a file whose size and mtime, or whose
 * content, have not changed. A moved file keeps its clip. A file with known content is not encoded
 * again.
 */
export async function ingestFile(
  name: string,
  deps: IngestDeps,
  options: IngestOptions = {},
): Promise<Ingested> {
  const path = plainPath(resolve(name))
  await using opened = await OpenedFile.open(path, { within: options.within, name: options.title })
  const { catalogue } = deps.gallery
  const item = new ItemClock(options.lease)
  const isForced = options.lease?.mode === 'all'
  const stat = { bytes: opened.bytes, mtimeMs: opened.mtimeMs }
  const at = await catalogue.clipAt(path)
  const known = isForced || at?.state === 'pending' ? undefined : at
  if (known && isSameStat(known, stat)) return unchanged(known, catalogue, item)

  const found = {
    path,
    name: options.title,
    ...stat,
    quickHash: await item.reading(opened.quickHash()),
  }
  const moved = at
    ? undefined
    : await moveHere(await catalogue.files.findByQuickHash(found), found, catalogue, item)
  if (moved) return moved

  const file = {
    ...found,
    hash: options.hash ?? (await item.reading(opened.contentHash(deps.signal))),
  }
  if (known?.hash === file.hash) {
    await touchClip(catalogue, known.id, file, item.end('unchanged'))
    return { outcome: 'unchanged', clip: known }
  }
  using _lock = await deps.hashMutex?.acquire(file.hash)
  const duplicate = isForced
    ? undefined
    : await reuseDuplicate(file, at !== undefined, catalogue, item)
  return duplicate ?? (await encodeAndPut(opened, file, deps, item))
}

/** Measures the time that a job's item takes, in ms. */
class ItemClock {
  readonly #lease: Lease | undefined
  readonly timings = noTimings()
  #readMs = 0

  constructor(lease: Lease | undefined) {
    this.#lease = lease
  }

  async reading<T>(work: Promise<T>): Promise<T> {
    const started = performance.now()
    const result = await work
    this.#readMs += performance.now() - started
    return result
  }

  end(outcome: Outcome, seconds = 0): ItemEnd | undefined {
    const { decodeMs, encodeMs } = this.timings
    const stageMs = { read: this.#readMs, decode: decodeMs, encode: encodeMs }
    return this.#lease && { lease: this.#lease, outcome, seconds, stageMs }
  }
}

async function unchanged(clip: Clip, catalogue: Catalogue, item: ItemClock): Promise<Ingested> {
  const end = item.end('unchanged')
  if (end) await catalogue.commit([{ type: 'endItem', end }])
  return { outcome: 'unchanged', clip }
}

/**
 * Moves a clip to this file if the clip's own file is missing, or if its path links to this file.
 * Returns undefined if none of the clips qualifies.
 */
async function moveHere(
  clips: readonly Clip[],
  file: MovedFile,
  catalogue: Catalogue,
  item: ItemClock,
): Promise<Ingested | undefined> {
  for (const clip of clips) {
    const isMoved = (await isMissing(clip.path)) || (await isSameFile(clip.path, file.path))
    const moved = isMoved && (await moveClip(catalogue, clip, file, item.end('moved')))
    if (moved) return { outcome: 'moved', clip: moved }
  }
  return undefined
}

/**
 * Adds a clip by copying the embeddings and labels of another clip with the same content. Moves
 * that clip instead if its own file is missing.
 */
async function reuseDuplicate(
  file: HashedFile,
  isTaken: boolean,
  catalogue: Catalogue,
  item: ItemClock,
): Promise<Ingested | undefined> {
  const duplicates = (await catalogue.clipsWithHash(file.hash)).filter(
    ({ path }) => path !== file.path,
  )
  const moved = isTaken ? undefined : await moveHere(duplicates, file, catalogue, item)
  if (moved) return moved
  for (const duplicate of duplicates) {
    const clip = await copyClip(catalogue, duplicate, file, item.end('copied', duplicate.seconds))
    if (clip) return { outcome: 'copied', clip }
  }
  return undefined
}

/** Returns true if the path reaches the file through links. */
async function isSameFile(path: string, file: string): Promise<boolean> {
  return path !== file && (await realPath(path).catch(() => null)) === file
}

async function encodeAndPut(
  opened: OpenedFile,
  file: HashedFile,
  deps: IngestDeps,
  item: ItemClock,
): Promise<Ingested> {
  const { segments, seconds, notes } = await encodeFile(opened, deps, item.timings)
  const outcome = notes.includes('DAMAGED') ? 'partial' : 'indexed'
  const clip = await putClip(
    deps.gallery.catalogue,
    { ...file, seconds, notes },
    segments,
    item.end(outcome, seconds),
  )
  return { outcome, clip }
}
