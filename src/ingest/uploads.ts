import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import type { ClipId } from '../domain.js'
import type { Gallery } from '../gallery/gallery.js'
import { contentHash } from './file-facts.js'
import { isMediaName } from './globs.js'
import { type Ingested, type IngestParts, ingestFile } from './ingest-file.js'
import { removeThumbnail } from './thumbnails.js'

export interface UploadedFile {
  readonly path: string
  readonly filename: string // the client's name for it
}

/**
 * Takes an uploaded file into the library: it is kept in `mediaDir` under its content hash, so the same file twice is
 * one clip. A file that cannot be indexed stays where it was.
 */
export async function ingestUpload(file: UploadedFile, mediaDir: string, parts: IngestParts): Promise<Ingested> {
  const hash = await contentHash(file.path, parts.signal)
  const path = join(mediaDir, hash.slice(0, 2), hash + mediaEnding(file.filename))
  const known = await parts.gallery.catalogue.clipAt(path)
  if (known) return { outcome: 'unchanged', clip: known }
  await mkdir(dirname(path), { recursive: true })
  await rename(file.path, path)
  try {
    return await ingestFile(path, parts, { hash })
  } catch (error) {
    await rename(path, file.path)
    throw error
  }
}

/**
 * Takes a clip out of the library, with its thumbnail; its file is deleted only where it was uploaded. False where there
 * is no such clip.
 */
export async function removeClip(
  id: ClipId,
  { mediaDir, thumbnailDir }: { readonly mediaDir: string; readonly thumbnailDir: string },
  { catalogue }: Gallery,
): Promise<boolean> {
  const clip = await catalogue.clip(id)
  if (!clip) return false
  await catalogue.remove(id)
  if (clip.path.startsWith(join(mediaDir, '/'))) await rm(clip.path, { force: true })
  await removeThumbnail(thumbnailDir, clip.hash, catalogue)
  return true
}

/** The ending decides the content type the file is served with, so only those of media are kept. */
function mediaEnding(filename: string): string {
  return isMediaName(filename) ? extname(filename).toLowerCase() : ''
}
