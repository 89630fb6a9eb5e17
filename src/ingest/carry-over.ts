import { KeyedMutex } from '../concurrency/keyed-mutex.js'
import type { Clip, ClipId } from '../domain.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError, type ErrorCode, toAppError } from '../errors.js'
import type { Catalogue } from '../gallery/catalogue.js'
import type { Gallery } from '../gallery/gallery.js'
import type { Succession } from '../gallery/succession.js'
import type { DecoderPool } from '../media/decoder-pool.js'
import { OpenedFile } from '../storage/opened-file.js'
import { encode } from './encode.js'
import { fileFacts, isSame } from './file-facts.js'
import { inParallel } from './in-parallel.js'
import { stopsJob } from './reasons.js'

const PAGE = 256 // clips

export interface CarryOverParts {
  readonly encoder: Encoder // of the new gallery
  readonly gallery: Gallery // the new one
  readonly succession: Succession
  readonly takePlace: () => Promise<boolean>
  readonly decoders: DecoderPool
  readonly signal: AbortSignal
}

type CarryParts = CarryOverParts & {
  readonly hashMutex: KeyedMutex // so that of equal files on their way at once one is encoded
}

/** How a clip came into the new gallery: a clip that `waits` has its id and path, and its reason among the failures. */
export type Carried =
  | 'encoded'
  | 'copied' // from another of the same content
  | 'partial'
  | { readonly waits: ErrorCode; readonly path: string; readonly detail: string }

export interface CarryOverProgress {
  readonly files: number // known so far
  readonly done: number
  readonly path: string
  readonly outcome: string // or the code of what went wrong
}

/** Of all clips of the library: nothing is left out. */
export interface CarryOverReport {
  readonly clips: number
  readonly encoded: number
  readonly copied: number
  readonly partial: number
  readonly kept: number // the new gallery had them already
  readonly waiting: readonly Exclude<Carried, string>[] // their files are missing, or cannot be encoded
  readonly seconds: number
}

export interface CarryOverOptions {
  readonly concurrency: number // files on their way at once
  readonly onProgress: (progress: CarryOverProgress) => void
}

/**
 * Encodes every clip of the old gallery for the new one, which then takes its place. What changes in the old one
 * meanwhile is followed, until there is nothing left to do at the moment of the change.
 */
export async function carryOver(given: CarryOverParts, options: CarryOverOptions): Promise<CarryOverReport> {
  const started = performance.now()
  const parts = { ...given, hashMutex: new KeyedMutex() }
  const { catalogue } = parts.gallery
  const carried = new Map<ClipId, Carried>()
  do {
    await parts.succession.mirror()
    for (const id of await parts.succession.gone()) {
      await catalogue.remove(id)
      carried.delete(id)
    }
    await carryPending(parts, options, carried)
    await checkWhole(parts)
  } while (!(await parts.takePlace()))
  return report(carried, await catalogue.counts(), started)
}

async function carryPending(
  parts: CarryParts,
  { concurrency, onProgress }: CarryOverOptions,
  carried: Map<ClipId, Carried>,
): Promise<void> {
  for (;;) {
    const { clips, count } = await parts.succession.pending(PAGE)
    if (clips.length === 0) return
    const files = carried.size + count
    await inParallel(clips, concurrency, async (clip) => {
      const outcome = await carry(clip, parts)
      carried.set(clip.id, outcome)
      await parts.succession.settle(clip)
      const said = typeof outcome === 'string' ? outcome : outcome.waits
      onProgress({ files, done: carried.size, path: clip.path, outcome: said })
    })
  }
}

async function carry(clip: Clip, parts: CarryParts): Promise<Carried> {
  const { catalogue } = parts.gallery
  parts.signal.throwIfAborted()
  try {
    const { path } = clip
    await using file = await OpenedFile.open(path)
    const facts = { bytes: file.bytes, mtimeMs: file.mtimeMs }
    const isKnown = clip.hash !== '' && isSame(clip, file)
    const hash = isKnown ? clip.hash : await file.contentHash(parts.signal)
    using _lock = await parts.hashMutex.acquire(hash)
    if (await isCopied({ ...clip, ...facts, hash }, catalogue)) return 'copied'
    const { segments, seconds, notes } = await encode(file, parts)
    await catalogue.adopt({ ...clip, ...facts, hash, seconds, notes }, segments)
    return notes.includes('DAMAGED') ? 'partial' : 'encoded'
  } catch (error) {
    parts.signal.throwIfAborted()
    const { code, message: detail } = toAppError(error)
    if (stopsJob(code) || !parts.encoder.alive) throw error
    await wait(clip, { code, detail }, catalogue)
    return { waits: code, path: clip.path, detail }
  }
}

/** Whether another clip of the same content had been encoded already, and has lent what was made of it. */
async function isCopied(clip: Clip, catalogue: Catalogue): Promise<boolean> {
  for (const twin of await catalogue.clipsWithHash(clip.hash)) {
    const isInTheWay = twin.id === clip.id || twin.path === clip.path
    if (!isInTheWay && (await catalogue.adoptCopy(clip, twin))) return true
  }
  return false
}

/** The clip keeps its id and path, holds nothing, and is indexed when its file is met again. */
async function wait(clip: Clip, reason: { code: ErrorCode; detail: string }, catalogue: Catalogue): Promise<void> {
  const facts = await fileFacts(clip.path).catch(() => ({ bytes: 0, mtimeMs: 0 }))
  await catalogue.adopt({ ...clip, hash: '', bytes: 0, mtimeMs: 0 }, [])
  await catalogue.fail({ path: clip.path, ...reason, ...facts })
}

async function checkWhole({ gallery, signal }: CarryOverParts): Promise<void> {
  const { whole, missing } = await gallery.check(signal)
  if (whole) return
  throw new AppError('INTERNAL', `The new index lacks ${missing} embeddings of its catalogue: start it again.`)
}

function report(
  carried: ReadonlyMap<ClipId, Carried>,
  { clips }: { readonly clips: number },
  started: number,
): CarryOverReport {
  const outcomes = [...carried.values()]
  const count = (outcome: Carried) => outcomes.filter((each) => each === outcome).length
  const waiting = outcomes.filter((each) => typeof each !== 'string')
  const seconds = Math.round(performance.now() - started) / 1000
  const counts = { encoded: count('encoded'), copied: count('copied'), partial: count('partial') }
  return { clips, ...counts, kept: clips - carried.size, waiting, seconds }
}
