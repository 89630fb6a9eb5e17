import { KeyedMutex } from '../concurrency/keyed-mutex.js'
import { mapConcurrent } from '../concurrency/map-concurrent.js'
import type { Clip } from '../domain/clip.js'
import type { ClipId } from '../domain/ids.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError, type ErrorCode, toAppError } from '../errors.js'
import type { Catalogue } from '../gallery/catalogue/catalogue.js'
import type { HashedFile } from '../gallery/catalogue/changes.js'
import type { GalleryMigration } from '../gallery/catalogue/gallery-migration.js'
import {
  importClip,
  importCopy,
  importPending,
  removeClip,
} from '../gallery/catalogue/write-clips.js'
import type { Gallery } from '../gallery/gallery.js'
import { encodeFile } from '../ingest/encode-file.js'
import { stopsJob } from '../jobs/retry-policy.js'
import type { DecoderPool } from '../media/process/decoder-pool.js'
import { isSameStat, statFile } from '../storage/file-stat.js'
import { OpenedFile } from '../storage/opened-file.js'

const PAGE = 256 // clips

/** What `reindex` needs. `cutOver` returns false if clips are pending. */
export interface ReindexDeps {
  readonly encoder: Encoder // of the new gallery's bundle
  readonly gallery: Gallery // the new gallery
  readonly migration: GalleryMigration
  readonly cutOver: () => Promise<boolean>
  readonly decoders: DecoderPool
  readonly signal: AbortSignal
}

type ClipDeps = ReindexDeps & {
  readonly hashMutex: KeyedMutex // of several equal files at once, one is encoded
}

/**
 * How a clip came into the new gallery. A clip that `waits` keeps its id and path, and is recorded
 * as a failure with its reason.
 */
export type ClipOutcome =
  | 'encoded'
  | 'copied' // from another clip with the same content
  | 'partial'
  | { readonly waits: ErrorCode; readonly path: string; readonly detail: string }

/** The state of a reindex after a clip ends. */
export interface ReindexProgress {
  readonly files: number // found so far
  readonly done: number
  readonly path: string
  readonly outcome: string // or an error code
}

/** The result of `reindex`: numbers of clips by outcome. Covers every clip of the library. */
export interface ReindexReport {
  readonly clips: number
  readonly encoded: number
  readonly copied: number
  readonly partial: number
  readonly kept: number // already in the new gallery
  /** Clips whose files are missing or cannot be encoded. */
  readonly waiting: readonly Exclude<ClipOutcome, string>[]
  readonly seconds: number
}

/** Options of `reindex`. */
export interface ReindexOptions {
  readonly concurrency: number // files that run at once
  readonly onProgress: (progress: ReindexProgress) => void
}

/**
 * Encodes every clip of the old gallery for the new gallery, then cuts over to it. Repeats for
 * clips that change in the old gallery meanwhile, until none is pending at the cut-over. Throws
 * INTERNAL if the new index is incomplete, and any error that keeps every clip from being encoded.
 */
export async function reindex(given: ReindexDeps, options: ReindexOptions): Promise<ReindexReport> {
  const started = performance.now()
  const deps = { ...given, hashMutex: new KeyedMutex() }
  const { catalogue } = deps.gallery
  const carried = new Map<ClipId, ClipOutcome>()
  do {
    await deps.migration.mirror()
    for (const id of await deps.migration.removedClips()) {
      await removeClip(catalogue, id)
      carried.delete(id)
    }
    await reindexPending(deps, options, carried)
    await checkWhole(deps)
  } while (!(await deps.cutOver()))
  return report(carried, await catalogue.counts(), started)
}

async function reindexPending(
  deps: ClipDeps,
  { concurrency, onProgress }: ReindexOptions,
  carried: Map<ClipId, ClipOutcome>,
): Promise<void> {
  for (;;) {
    const { clips, count } = await deps.migration.pendingClips(PAGE)
    if (clips.length === 0) return
    const files = carried.size + count
    await mapConcurrent(clips, concurrency, async (clip) => {
      const outcome = await reindexClip(clip, deps)
      carried.set(clip.id, outcome)
      await deps.migration.markDone(clip)
      const shown = typeof outcome === 'string' ? outcome : outcome.waits
      onProgress({ files, done: carried.size, path: clip.path, outcome: shown })
    })
  }
}

async function reindexClip(clip: Clip, deps: ClipDeps): Promise<ClipOutcome> {
  const { catalogue } = deps.gallery
  deps.signal.throwIfAborted()
  try {
    const { path } = clip
    await using file = await OpenedFile.open(path)
    const stat = { bytes: file.bytes, mtimeMs: file.mtimeMs }
    const known = isSameStat(clip, file) ? clip.hash : null
    const hash = known ?? (await file.contentHash(deps.signal))
    using _lock = await deps.hashMutex.acquire(hash)
    if (await isCopied({ ...clip, ...stat, hash }, catalogue)) return 'copied'
    const { segments, seconds, notes } = await encodeFile(file, deps)
    await importClip(catalogue, { ...clip, ...stat, hash, seconds, notes }, segments)
    return notes.includes('DAMAGED') ? 'partial' : 'encoded'
  } catch (error) {
    deps.signal.throwIfAborted()
    const { code, message: detail } = toAppError(error)
    if (stopsJob(code) || !deps.encoder.isAvailable) throw error
    await adoptPending(clip, { code, detail }, catalogue)
    return { waits: code, path: clip.path, detail }
  }
}

/**
 * Adds a clip by copying the embeddings and labels of another clip with the same content. Returns
 * false if there is none.
 */
async function isCopied(clip: Clip & HashedFile, catalogue: Catalogue): Promise<boolean> {
  for (const duplicate of await catalogue.clipsWithHash(clip.hash)) {
    const isSelf = duplicate.id === clip.id || duplicate.path === clip.path
    if (!isSelf && (await importCopy(catalogue, clip, duplicate))) return true
  }
  return false
}

/** Adds a clip without content under its id and path. It is indexed when a scan finds its file. */
async function adoptPending(
  clip: Clip,
  reason: { code: ErrorCode; detail: string },
  catalogue: Catalogue,
): Promise<void> {
  const stat = await statFile(clip.path).catch(() => ({ bytes: 0, mtimeMs: 0 }))
  await importPending(catalogue, clip, { path: clip.path, ...reason, ...stat })
}

async function checkWhole({ gallery, signal }: ReindexDeps): Promise<void> {
  const { whole, missing } = await gallery.check(signal)
  if (whole) return
  throw new AppError(
    'INTERNAL',
    `The new index lacks ${missing} embeddings of its catalogue: run the reindex again.`,
  )
}

function report(
  carried: ReadonlyMap<ClipId, ClipOutcome>,
  { clips }: { readonly clips: number },
  started: number,
): ReindexReport {
  const outcomes = [...carried.values()]
  const count = (outcome: ClipOutcome) => outcomes.filter((each) => each === outcome).length
  const waiting = outcomes.filter((each) => typeof each !== 'string')
  const seconds = Math.round(performance.now() - started) / 1000
  const counts = { encoded: count('encoded'), copied: count('copied'), partial: count('partial') }
  return { clips, ...counts, kept: clips - carried.size, waiting, seconds }
}
