import type { FileReader } from '../../gallery/catalogue/files.js'
import { isFolderOffline } from '../../storage/file-stat.js'

/** A file or folder that the library was indexed from. */
export interface SourceStatus {
  readonly path: string
  readonly clips: number
  readonly isOffline: boolean // it is missing or empty, though clips are known in it
}

/** Returns the sources of the library that have clips. */
export async function sourcesOf(files: FileReader): Promise<readonly SourceStatus[]> {
  const found: SourceStatus[] = []
  for (const path of await files.sources()) {
    const clips = await files.countUnder(path)
    if (clips > 0) found.push({ path, clips, isOffline: await isFolderOffline(path) })
  }
  return found
}
