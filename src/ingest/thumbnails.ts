import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CatalogueReader } from '../gallery/catalogue/catalogue.js'

/** Of a clip's content, so that clips of one content share it. */
export const thumbnailPath = (dir: string, hash: string): string => join(dir, `${hash}.jpg`)

/** Deletes a thumbnail that no clip of the library is of any more. */
export async function removeThumbnail(
  dir: string,
  hash: string,
  catalogue: CatalogueReader,
): Promise<void> {
  if ((await catalogue.clipsWithHash(hash)).length === 0)
    await rm(thumbnailPath(dir, hash), { force: true })
}

/** Deletes all such, and what a kill has left half written. */
export async function sweepThumbnails(dir: string, catalogue: CatalogueReader): Promise<void> {
  for (const name of await readdir(dir)) {
    const [hash = '', ending] = name.split('.')
    if (name === `${hash}.${ending}`) await removeThumbnail(dir, hash, catalogue)
    else await rm(join(dir, name), { force: true })
  }
}
