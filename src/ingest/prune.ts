import type { Clip } from '../domain.js'
import type { Gallery } from '../gallery/gallery.js'
import { isGone } from './file-facts.js'
import { goneUnder } from './mark-missing.js'
import type { UploadStore } from './uploads.js'

const PAGE = 500

export interface PruneParts {
  readonly gallery: Gallery
  readonly uploads: UploadStore
  readonly signal?: AbortSignal
}

/**
 * Takes clips out of the library whose files are gone: those that were marked as missing, and all that are gone under the
 * folders given, which may be offline. A file that is there again keeps its clip.
 */
export async function prune(folders: readonly string[], parts: PruneParts): Promise<number> {
  const { gallery, signal } = parts
  const { files } = gallery.catalogue
  let pruned = 0
  const remove = async ({ id }: Clip) => {
    signal?.throwIfAborted()
    if (await parts.uploads.remove(id, gallery)) pruned++
  }
  for (let after: string | undefined; ; ) {
    const page = await files.missing({ after, limit: PAGE })
    for (const clip of page) {
      if (await isGone(clip.path)) await remove(clip)
      else await files.mark([clip.id], 'present')
    }
    after = page.at(-1)?.path
    if (page.length < PAGE) break
  }
  for await (const { clip } of goneUnder(folders, files, signal)) await remove(clip)
  await gallery.follow(signal)
  return pruned
}
