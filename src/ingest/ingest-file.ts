import { resolve } from 'node:path'
import type { Clip, EncodedSegment } from '../domain.js'
import { type EmbeddedSegment, embed } from '../embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { Encoder } from '../encoder/encoder.js'
import type { Catalogue, FileFacts } from '../gallery/catalogue.js'
import type { Gallery } from '../gallery/gallery.js'
import { openMedia } from '../media/media.js'
import { segmentLabels } from '../tagging/labels.js'
import { contentHash, fileFacts, isGone } from './file-facts.js'

export interface IngestParts {
  readonly encoder: Encoder
  readonly gallery: Gallery
  readonly signal?: AbortSignal | undefined
}

/** `partial`: some of the file could not be decoded, and what could be is indexed. */
export interface Ingested {
  readonly outcome: 'indexed' | 'partial' | 'unchanged'
  readonly clip: Clip
}

/**
 * Makes one file a clip of the library, whole or not at all. A file whose size and time, or else whose content, are as
 * they were is left as it is; one that was moved here from elsewhere keeps its clip. `hash`: its content hash, where the caller has it already.
 */
export async function ingestFile(name: string, parts: IngestParts, hash?: string): Promise<Ingested> {
  const path = resolve(name)
  const { catalogue } = parts.gallery
  const now = await fileFacts(path)
  const known = await catalogue.clipAt(path)
  if (known && known.bytes === now.bytes && known.mtimeMs === now.mtimeMs) return { outcome: 'unchanged', clip: known }
  const file = { path, hash: hash ?? (await contentHash(path, parts.signal)), ...now }
  if (known?.hash === file.hash) {
    await catalogue.touch(known.id, now)
    return { outcome: 'unchanged', clip: known }
  }
  const moved = known ? undefined : await moveHere(file, catalogue)
  return moved ? { outcome: 'unchanged', clip: moved } : encodeFile(file, parts)
}

/** A clip of the same content whose own file is gone is this file, moved or renamed: it keeps its id and embeddings. */
async function moveHere(file: HashedFile, catalogue: Catalogue): Promise<Clip | undefined> {
  const { path, bytes, mtimeMs } = file
  for (const twin of await catalogue.clipsWithHash(file.hash)) {
    const moved = (await isGone(twin.path)) && (await catalogue.move(twin, { path, bytes, mtimeMs }))
    if (moved) return moved
  }
  return undefined
}

interface HashedFile extends FileFacts {
  readonly path: string
  readonly hash: string
}

async function encodeFile(file: HashedFile, parts: IngestParts): Promise<Ingested> {
  const { encoder, gallery, signal } = parts
  const media = await openMedia(file.path, encoder.bundle.format, { signal })
  const segments: EncodedSegment[] = []
  for await (const segment of embed(media, encoder, { priority: 'ingest', signal })) {
    segments.push(encoded(segment, encoder.bundle))
  }
  const { seconds, notes } = media.outcome
  const clip = await gallery.catalogue.put({ ...file, seconds, notes }, segments)
  return { outcome: notes.includes('DAMAGED') ? 'partial' : 'indexed', clip }
}

function encoded(segment: EmbeddedSegment, bundle: Bundle): EncodedSegment {
  const { start, end, audio, visual } = segment
  const embeddings = { ...(audio && { audio: audio.embedding }), ...(visual && { visual: visual.embedding }) }
  return { start, end, embeddings, labels: segmentLabels(segment, bundle) }
}
