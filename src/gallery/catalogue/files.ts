import type { Clip } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId } from '../../domain/ids.js'

/** The clip and the failure that the catalogue has for a path, with the last known file stat. */
export interface KnownFile {
  readonly clip: (FileStat & { readonly id: ClipId; readonly isMissing: boolean }) | null
  readonly failure: (FileStat & { readonly code: string }) | null
}

/** A clip whose file is missing. */
export interface MissingClip extends Clip {
  readonly missingSince: string // ISO 8601
}

/** One page of a listing that is ordered by path. */
export interface PathPage {
  readonly after?: string | undefined // a path
  readonly limit: number
}

/** The catalogue's view of the files on disk. */
export interface FileReader {
  /** Returns the known files among `paths`, by path. */
  known(paths: readonly string[]): Promise<ReadonlyMap<string, KnownFile>>
  /**
   * Returns clips whose file is at the path, or in the folder at any depth. They are ordered by
   * path.
   */
  clipsUnder(path: string, page: PathPage): Promise<readonly Clip[]>
  /** Returns the number of clips that `clipsUnder` lists in all pages. */
  countUnder(path: string): Promise<number>
  /** Returns clips whose file had this size, time and quick hash. */
  findByQuickHash(file: FileStat & { readonly quickHash: string }): Promise<readonly Clip[]>
  /**
   * Returns the files and folders that jobs indexed, ordered by path. Sources inside other sources
   * are omitted.
   */
  sources(): Promise<readonly string[]>
  /** Returns the content hashes that at least one clip has. */
  hashesInUse(hashes: readonly string[]): Promise<ReadonlySet<string>>
  /** Returns clips whose files are missing, ordered by path. */
  missingClips(page: PathPage): Promise<readonly MissingClip[]>
}
