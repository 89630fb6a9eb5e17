import type { Clip, EncodedSegment } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId } from '../../domain/ids.js'
import { AppError } from '../../errors.js'
import type { ItemEnd, ItemFailure, Lease } from '../../jobs/jobs.js'
import type { Catalogue } from './catalogue.js'
import type { CatalogueChange, HashedFile, MovedFile, NewClip } from './changes.js'
import { clipNotFound } from './clip-id.js'
import type { Failure } from './failure.js'

// These functions change clips, failures and job items together. Each function is one transaction.

type Writer = Pick<Catalogue, 'commit'>

/**
 * Adds a clip with its segments and clears the failure of its path. Ends the item if `end` is
 * given.
 */
export async function putClip(
  catalogue: Writer,
  clip: NewClip,
  segments: readonly EncodedSegment[],
  end?: ItemEnd,
): Promise<Clip> {
  const put = { type: 'putClip', clip, segments } as const
  return await commitClip(catalogue, [put, clearFailure(clip), ...endItem(end)])
}

/**
 * Adds a clip for a file that has the same content as another clip, and copies the segments of that
 * clip. Returns undefined if that clip was removed or its content has changed.
 */
export async function copyClip(
  catalogue: Writer,
  { id: from }: Clip,
  file: HashedFile,
  end?: ItemEnd,
): Promise<Clip | undefined> {
  const copy = { type: 'copyClip', from, file } as const
  return await commitIfValid(catalogue, [copy, clearFailure(file), ...endItem(end)])
}

/**
 * Records that the file of a clip was moved, and clears the failure of its new path. Returns
 * undefined if the clip is no longer at `clip.path`.
 */
export async function moveClip(
  catalogue: Writer,
  { id, path: ifPath }: Clip,
  file: MovedFile,
  end?: ItemEnd,
): Promise<Clip | undefined> {
  const move = { type: 'moveClip', id, ifPath, file } as const
  return await commitIfValid(catalogue, [move, clearFailure(file), ...endItem(end)])
}

/** Records a new size or time of a file whose content is the same. Throws CLIP_NOT_FOUND. */
export async function touchClip(
  catalogue: Writer,
  id: ClipId,
  file: FileStat,
  end?: ItemEnd,
): Promise<void> {
  const touch = { type: 'touchClip', id, file } as const
  const { isCommitted } = await catalogue.commit([touch, ...endItem(end)])
  if (!isCommitted) throw clipNotFound(id)
}

/** Removes a clip with its segments. Returns false if the clip does not exist. */
export async function removeClip(catalogue: Writer, id: ClipId): Promise<boolean> {
  return (await catalogue.commit([{ type: 'removeClip', id }])).isCommitted
}

/** Removes clips with their segments in one transaction. Returns the ids of those that existed. */
export async function removeClips(
  catalogue: Writer,
  ids: readonly ClipId[],
): Promise<readonly ClipId[]> {
  const { isCommitted } = await catalogue.commit(ids.map((id) => ({ type: 'removeClip', id })))
  if (isCommitted) return ids
  const removed: ClipId[] = []
  for (const id of ids) if (await removeClip(catalogue, id)) removed.push(id)
  return removed
}

/** Marks clips as missing or present. */
export async function setMissing(
  catalogue: Writer,
  ids: readonly ClipId[],
  missing: boolean,
): Promise<void> {
  if (ids.length === 0) return
  await catalogue.commit([{ type: 'setMissing', ids, missing }])
}

/** Adds a clip with its id from another catalogue and with new segments. */
export async function importClip(
  catalogue: Writer,
  clip: Clip,
  segments: readonly EncodedSegment[],
): Promise<void> {
  const put = { type: 'putClip', clip, segments, id: clip.id } as const
  await commitClip(catalogue, [put, clearFailure(clip)])
}

/**
 * Adds a clip with its id from another catalogue as pending. The clip has no segments. The failure
 * states why its file cannot be indexed.
 */
export async function importPending(
  catalogue: Writer,
  clip: Clip,
  failure: Omit<Failure, 'failedAt'>,
): Promise<void> {
  const pending = { ...clip, hash: null, bytes: 0, mtimeMs: 0 }
  await commitClip(catalogue, [
    { type: 'putClip', clip: pending, segments: [], id: clip.id },
    { type: 'recordFailure', failure },
  ])
}

/**
 * Adds a clip with its id from another catalogue and copies the segments of `from`. Returns false
 * if `from` was removed or its content has changed.
 */
export async function importCopy(
  catalogue: Writer,
  clip: Clip & HashedFile,
  from: Clip,
): Promise<boolean> {
  const copy = { type: 'copyClip', from: from.id, file: clip, id: clip.id } as const
  return (await commitIfValid(catalogue, [copy, clearFailure(clip)])) !== undefined
}

/**
 * Records that a file cannot be indexed. Ends the item of the lease as failed if `lease` is given.
 */
export async function recordFailure(
  catalogue: Writer,
  failure: Omit<Failure, 'failedAt'>,
  lease?: Lease,
): Promise<void> {
  const record = { type: 'recordFailure', failure } as const
  const { code, detail } = failure
  const end = lease && ({ lease, outcome: 'failed', code, detail } as const)
  await catalogue.commit([record, ...endItem(end)])
}

const clearFailure = ({ path }: { readonly path: string }): CatalogueChange => ({
  type: 'clearFailure',
  path,
})

const endItem = (end: ItemEnd | ItemFailure | undefined): readonly CatalogueChange[] =>
  end ? [{ type: 'endItem', end }] : []

async function commitIfValid(
  catalogue: Writer,
  changes: readonly CatalogueChange[],
): Promise<Clip | undefined> {
  const result = await catalogue.commit(changes)
  return result.isCommitted ? result.clips[0] : undefined
}

async function commitClip(catalogue: Writer, changes: readonly CatalogueChange[]): Promise<Clip> {
  const clip = await commitIfValid(catalogue, changes)
  if (!clip) throw new AppError('INTERNAL', 'The catalogue did not return the added clip')
  return clip
}
