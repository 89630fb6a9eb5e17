import type { Clip } from '../../domain/clip.js'
import type { ClipId } from '../../domain/ids.js'

/**
 * A gallery that is to take the place of another, of which it gets every clip under its id. Whatever happens to the old
 * one meanwhile is followed: only a change of places at which nothing is left to do comes about.
 */
export interface GalleryMigration extends AsyncDisposable {
  /**
   * Takes over what needs no encoding: clips whose content the new gallery holds already, and failures, but for those
   * that were the old bundle's fault.
   */
  mirror(): Promise<void>
  /** Clips of the new gallery that the old one does not have any more. */
  removedClips(): Promise<readonly ClipId[]>
  /** Clips of the old gallery that are not dealt with as they are now, and how many those are in all. */
  pendingClips(limit: number): Promise<{ readonly clips: readonly Clip[]; readonly count: number }>
  /** Says that the clip as it was given is dealt with: it stands in the new gallery, indexed or waiting. */
  markDone(clip: Clip): Promise<void>
  /**
   * Retires the old gallery, to which nothing is written from then on, if all of it is dealt with: false where it has
   * changed again. Its jobs go over to the new one.
   */
  cutOver(): Promise<boolean>
}
