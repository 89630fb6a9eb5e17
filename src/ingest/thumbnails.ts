import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileReader } from '../gallery/catalogue/files.js'

const PAGE = 500 // hashes

/** Returns the path of a thumbnail by content hash. Clips with the same content share it. */
export const thumbnailPath = (dir: string, hash: string): string => join(dir, `${hash}.jpg`)

/** Deletes the thumbnails of the hashes that no clip has. */
export async function removeThumbnails(
  dir: string,
  hashes: readonly string[],
  files: Pick<FileReader, 'hashesInUse'>,
): Promise<void> {
  const used = await files.hashesInUse(hashes)
  const unused = hashes.filter((hash) => !used.has(hash))
  await Promise.all(unused.map((hash) => rm(thumbnailPath(dir, hash), { force: true })))
}

/** Deletes thumbnails without a clip, and partial files of killed processes. */
export async function sweepThumbnails(
  dir: string,
  files: Pick<FileReader, 'hashesInUse'>,
): Promise<void> {
  const names = await readdir(dir)
  const partial = names.filter((name) => !IS_THUMBNAIL.test(name))
  for (const name of partial) await rm(join(dir, name), { force: true })
  const hashes = names
    .filter((name) => IS_THUMBNAIL.test(name))
    .map((name) => name.split('.', 1)[0])
  for (let from = 0; from < hashes.length; from += PAGE) {
    await removeThumbnails(dir, hashes.slice(from, from + PAGE) as string[], files)
  }
}

const IS_THUMBNAIL = /^[^.]*\.jpg$/
