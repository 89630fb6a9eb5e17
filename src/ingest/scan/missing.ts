import { dirname } from 'node:path'
import type { Clip } from '../../domain/clip.js'
import type { Files } from '../../gallery/catalogue/files.js'
import { isFolderOffline, isMissing } from '../../storage/file-stat.js'
import { isInside } from '../../storage/path-within.js'

const PAGE = 500

/** What became of clips whose files are gone: those of a folder that is gone or empty, a mount perhaps, stay as they are. */
export interface MissingReport {
  readonly missing: number
  readonly offline: ReadonlyMap<string, number> // clips by the folder that they are in
}

/** Marks the clips under the sources whose files are gone as missing. */
export async function markMissing(
  sources: readonly string[],
  files: Files,
  signal?: AbortSignal,
): Promise<MissingReport> {
  const folders = new OfflineFolders()
  const offline = new Map<string, number>()
  let missing = 0
  for await (const { clip, source } of missingClipsUnder(sources, files, signal)) {
    const folder = await folders.offline(dirname(clip.path), source)
    if (folder !== null) offline.set(folder, (offline.get(folder) ?? 0) + 1)
    else {
      await files.setMissing([clip.id], 'missing')
      missing++
    }
  }
  return { missing, offline }
}

/** Clips under the sources whose files are gone. */
export async function* missingClipsUnder(
  sources: readonly string[],
  files: Files,
  signal?: AbortSignal,
): AsyncGenerator<{ clip: Clip; source: string }> {
  for (const source of sources) {
    for (let after: string | undefined; ; ) {
      signal?.throwIfAborted()
      const page = await files.clipsUnder(source, { after, limit: PAGE })
      const gone = await Promise.all(page.map(({ path }) => isMissing(path)))
      for (const [i, clip] of page.entries()) if (gone[i]) yield { clip, source }
      after = page.at(-1)?.path
      if (page.length < PAGE) break
    }
  }
}

/** Folders, each looked at once: what lies in one that is gone or empty is offline. */
class OfflineFolders {
  readonly #lost = new Map<string, Promise<boolean>>()

  /** The highest of the folders between a source and a clip that is gone or empty. */
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
