import { setMissing } from '../gallery/catalogue/write-clips.js'
import type { Gallery } from '../gallery/gallery.js'
import { isMissing } from '../storage/file-stat.js'
import { missingFilesUnder } from './scan/missing.js'
import type { UploadStore } from './uploads.js'

const PAGE = 500 // clips

/** What `prune` needs to find and remove clips. */
export interface PruneDeps {
  readonly gallery: Gallery
  readonly uploads: UploadStore
  readonly signal?: AbortSignal
}

/**
 * Removes clips whose files are missing: those marked as missing, and all under the folders, which
 * may be offline. Keeps a clip whose file exists again. Returns the number of removed clips.
 */
export async function prune(folders: readonly string[], deps: PruneDeps): Promise<number> {
  const { gallery, uploads, signal } = deps
  const { catalogue } = gallery
  let pruned = 0
  for (let after: string | undefined; ; ) {
    signal?.throwIfAborted()
    const page = await catalogue.files.missingClips({ after, limit: PAGE })
    const missing = await Promise.all(page.map(({ path }) => isMissing(path)))
    const idsOf = (wanted: boolean) =>
      page.filter((_, i) => missing[i] === wanted).map(({ id }) => id)
    await setMissing(catalogue, idsOf(false), false)
    pruned += await uploads.remove(idsOf(true), gallery)
    after = page.at(-1)?.path
    if (page.length < PAGE) break
  }
  for await (const page of missingFilesUnder(folders, catalogue.files, signal)) {
    const ids = page.map(({ clip }) => clip.id)
    pruned += await uploads.remove(ids, gallery)
  }
  await gallery.follow(signal)
  return pruned
}
