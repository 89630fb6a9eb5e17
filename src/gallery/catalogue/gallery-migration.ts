import type { Clip } from '../../domain/clip.js'
import type { ClipId } from '../../domain/ids.js'

/**
 * Fills a new gallery that will replace the old one. Each clip keeps its id. The migration follows
 * changes of the old gallery. The cut-over succeeds only if no work is left.
 */
export interface GalleryMigration extends AsyncDisposable {
  /**
   * Copies everything that needs no encoding: clips whose content the new gallery already has, and
   * failures. It omits failures that the old bundle caused.
   */
  mirror(): Promise<void>
  /** Returns clips of the new gallery that the old one no longer has. */
  removedClips(): Promise<readonly ClipId[]>
  /**
   * Returns clips of the old gallery that are not processed in their current state. `count` is the
   * total number of these clips.
   */
  pendingClips(limit: number): Promise<{ readonly clips: readonly Clip[]; readonly count: number }>
  /** Marks a clip as processed in the given state: the new gallery has it as indexed or pending. */
  markDone(clip: Clip): Promise<void>
  /**
   * Retires the old gallery if all of its clips are processed, and moves its jobs to the new one.
   * The old gallery then refuses all writes. Returns false if the old gallery has changed again.
   */
  cutOver(): Promise<boolean>
}
