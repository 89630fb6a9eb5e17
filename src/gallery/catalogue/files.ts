import type { Clip } from '../../domain/clip.js'
import type { FileStat } from '../../domain/file-stat.js'
import type { ClipId } from '../../domain/ids.js'

/** What the catalogue has at a path: facts of the file as it was when it was last looked at. */
export interface KnownFile {
  readonly clip: (FileStat & { readonly id: ClipId; readonly isMissing: boolean }) | null
  readonly failure: (FileStat & { readonly code: string }) | null
}

export interface MissingClip extends Clip {
  readonly missingSince: string // ISO 8601
}

export interface PathPage {
  readonly after?: string | undefined // a path
  readonly limit: number
}

/** The catalogue's view of the files on disk. */
export interface FileReader {
  /** Of the paths given, those that are known. */
  known(paths: readonly string[]): Promise<ReadonlyMap<string, KnownFile>>
  /** Clips whose file is at the path or in the folder, however deep, in order of path. */
  clipsUnder(path: string, page: PathPage): Promise<readonly Clip[]>
  /** How many they are. */
  countUnder(path: string): Promise<number>
  /** Clips whose file had this size, time and quick hash. */
  findByQuickHash(file: FileStat & { readonly quickHash: string }): Promise<readonly Clip[]>
  /** Files and folders that jobs have indexed, in order of path, without those inside others. */
  sources(): Promise<readonly string[]>
  /** Those of the content hashes that a clip has. */
  hashesInUse(hashes: readonly string[]): Promise<ReadonlySet<string>>
  /** Clips whose files are missing, in order of path. */
  missingClips(page: PathPage): Promise<readonly MissingClip[]>
}
