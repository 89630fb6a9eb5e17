import type { Clip } from '../domain/clip.js'
import type { Gallery } from '../gallery/gallery.js'
import { isMissing } from '../storage/file-stat.js'
import { missingClipsUnder } from './scan/missing.js'
import type { UploadStore } from './uploads.js'

const PAGE = 500

export interface PruneDeps {
  readonly gallery: Gallery
  readonly uploads: UploadStore
  readonly signal?: AbortSignal
}

/**
 * Takes clips out of the library whose files are gone: those that were marked as missing, and all that are gone under the
 * folders given, which may be offline. A file that is there again keeps its clip.
 */
export async function prune(folders: readonly string[], deps: PruneDeps): Promise<number> {
  const { gallery, signal } = deps
  const { files } = gallery.catalogue
  let pruned = 0
  const remove = async ({ id }: Clip) => {
    signal?.throwIfAborted()
    if (await deps.uploads.remove(id, gallery)) pruned++
  }
  for (let after: string | undefined; ; ) {
    const page = await files.missingClips({ after, limit: PAGE })
    for (const clip of page) {
      if (await isMissing(clip.path)) await remove(clip)
      else await files.setMissing([clip.id], 'present')
    }
    after = page.at(-1)?.path
    if (page.length < PAGE) break
  }
  for await (const { clip } of missingClipsUnder(folders, files, signal)) await remove(clip)
  await gallery.follow(signal)
  return pruned
}
