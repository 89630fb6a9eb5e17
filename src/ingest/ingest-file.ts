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

export interface IngestDeps extends EncodeDeps {
  readonly encoder: Pick<Encoder, 'bundle' | 'encodeSegment' | 'isAvailable' | 'restarted'>
  readonly gallery: Gallery
  readonly hashMutex?: KeyedMutex // so that of equal files on their way at once one is encoded
}

export interface IngestOptions {
  readonly hash?: string | undefined // of the content, where the caller has it already
  readonly lease?: Lease // the item of a job that ends with this file
  readonly within?: readonly string[] | undefined // folders, by real path, that must contain the file
  readonly title?: string | undefined // of an upload: what the client calls the file
}

export interface Ingested {
  readonly outcome: Outcome
  readonly clip: Clip
}

/**
 * Makes one file a clip of the library, whole or not at all. A file whose size and time, or else whose content, are as
 * they were is left as it is; one that was moved here keeps its clip; one of known content is not encoded again.
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
  const facts = { bytes: opened.bytes, mtimeMs: opened.mtimeMs }
  const at = await catalogue.clipAt(path)
  const known = isForced || at?.state === 'pending' ? undefined : at
  if (known && isSameStat(known, facts)) return unchanged(known, catalogue, item)

  const seen = {
    path,
    name: options.title,
    ...facts,
    quickHash: await item.reading(opened.quickHash()),
  }
  const moved = at
    ? undefined
    : await moveHere(await catalogue.files.findByQuickHash(seen), seen, catalogue, item)
  if (moved) return moved

  const file = {
    ...seen,
    hash: options.hash ?? (await item.reading(opened.contentHash(deps.signal))),
  }
  if (known?.hash === file.hash) {
    await touchClip(catalogue, known.id, file, item.end('unchanged'))
    return { outcome: 'unchanged', clip: known }
  }
  using _lock = await deps.hashMutex?.acquire(file.hash)
  const twin = isForced ? undefined : await reuseDuplicate(file, at !== undefined, catalogue, item)
  return twin ?? (await encodeAndPut(opened, file, deps, item))
}

/** What a job's item has cost so far. */
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
    const waits = { read: this.#readMs, decode: decodeMs, encode: encodeMs }
    return this.#lease && { lease: this.#lease, outcome, seconds, stageMs: waits }
  }
}

async function unchanged(clip: Clip, catalogue: Catalogue, item: ItemClock): Promise<Ingested> {
  const end = item.end('unchanged')
  if (end) await catalogue.commit([{ type: 'endItem', end }])
  return { outcome: 'unchanged', clip }
}

/** A clip like this file was moved here if its own file is missing, or if its path leads here by links. */
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

/** A clip of the same content is moved here where its own file is gone, and else lends what was made of it. */
async function reuseDuplicate(
  file: HashedFile,
  isTaken: boolean,
  catalogue: Catalogue,
  item: ItemClock,
): Promise<Ingested | undefined> {
  const twins = (await catalogue.clipsWithHash(file.hash)).filter(({ path }) => path !== file.path)
  const moved = isTaken ? undefined : await moveHere(twins, file, catalogue, item)
  if (moved) return moved
  for (const twin of twins) {
    const clip = await copyClip(catalogue, twin, file, item.end('copied', twin.seconds))
    if (clip) return { outcome: 'copied', clip }
  }
  return undefined
}

/** Whether a path leads through links to a file. */
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
