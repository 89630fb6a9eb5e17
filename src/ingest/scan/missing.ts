import { dirname } from 'node:path'
import type { Clip } from '../../domain/clip.js'
import type { ClipId } from '../../domain/ids.js'
import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import type { FileReader } from '../../gallery/catalogue/files.js'
import { setMissing } from '../../gallery/catalogue/write-clips.js'
import { isFolderOffline, isMissing } from '../../storage/file-stat.js'
import { isInside } from '../../storage/path-within.js'

const PAGE = 500 // clips

/** Result of `markMissing`: the number of marked clips, and the clips that are offline. */
export interface MissingReport {
  readonly missing: number
  readonly offline: ReadonlyMap<string, number> // number of clips by offline folder
}

/** A clip whose file is missing, and the source that it was indexed from. */
export interface MissingFile {
  readonly clip: Clip
  readonly source: string
}

/**
 * Marks clips under the sources as missing if their files are. Each page is one transaction. Clips
 * in an empty or missing folder, which may be an unmounted drive, are reported as offline instead.
 */
export async function markMissing(
  sources: readonly string[],
  catalogue: Pick<Catalogue, 'files' | 'commit'>,
  signal?: AbortSignal,
): Promise<MissingReport> {
  const folders = new OfflineFolders()
  const offline = new Map<string, number>()
  let missing = 0
  for await (const page of missingFilesUnder(sources, catalogue.files, signal)) {
    const ids: ClipId[] = []
    for (const { clip, source } of page) {
      const folder = await folders.offline(dirname(clip.path), source)
      if (folder === null) ids.push(clip.id)
      else offline.set(folder, (offline.get(folder) ?? 0) + 1)
    }
    await setMissing(catalogue, ids, true)
    missing += ids.length
  }
  return { missing, offline }
}

/** Yields the clips under the sources whose files are missing, in pages. */
export async function* missingFilesUnder(
  sources: readonly string[],
  files: FileReader,
  signal?: AbortSignal,
): AsyncGenerator<readonly MissingFile[]> {
  for (const source of sources) {
    for (let after: string | undefined; ; ) {
      signal?.throwIfAborted()
      const page = await files.clipsUnder(source, { after, limit: PAGE })
      const missing = await Promise.all(page.map(({ path }) => isMissing(path)))
      yield page.filter((_, i) => missing[i]).map((clip) => ({ clip, source }))
      after = page.at(-1)?.path
      if (page.length < PAGE) break
    }
  }
}

/** Finds offline folders and checks each folder once. A missing or empty folder is offline. */
class OfflineFolders {
  readonly #lost = new Map<string, Promise<boolean>>()

  /** Returns the highest offline folder from the source down to `folder`, or null if none is. */
  async offline(folder: string, source: string): Promise<string | null> {
    const above = dirname(folder)
    const higher =
      folder !== above && isInside(source, above) ? await this.offline(above, source) : null
    if (higher !== null) return higher
    const lost = this.#lost.get(folder) ?? isFolderOffline(folder)
    this.#lost.set(folder, lost)
    return (await lost) ? folder : null
  }
}
