import type { FileReader } from '../../gallery/catalogue/files.js'
import { isFolderOffline } from '../../storage/file-stat.js'

/** A file or folder that the library indexes. */
export interface SourceStatus {
  readonly path: string
  readonly clips: number
  readonly isOffline: boolean // missing or empty, although it has clips
}

/** Returns the sources of the library that have clips, with their number. */
export async function sourcesOf(files: FileReader): Promise<readonly SourceStatus[]> {
  const found: SourceStatus[] = []
  for (const path of await files.sources()) {
    const clips = await files.countUnder(path)
    if (clips > 0) found.push({ path, clips, isOffline: await isFolderOffline(path) })
  }
  return found
}
