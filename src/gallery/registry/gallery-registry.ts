/**
 * A catalogue with its index, built with one bundle. A library has several galleries during a
 * change of model.
 */
export interface GalleryRef {
  readonly id: string
  readonly bundle: string // a name under models/, or a path
  readonly fingerprint: string | null // null if only its catalogue has it
}

/** The bundle of a gallery. Fingerprints are equal if their bundles have the same embeddings. */
export interface GalleryBundle {
  readonly bundle: string
  readonly fingerprints: readonly string[] // its own, then equal ones
}

/** The galleries of a library. One of them serves. */
export interface GalleryRegistry {
  /**
   * Returns the gallery that serves, or undefined if the library has none. Completes a cut-over if
   * a process was killed after it retired the old gallery. Throws DATA_UNUSABLE.
   */
  current(): Promise<GalleryRef | undefined>
  /** Returns the gallery that served before, or null. */
  previous(): Promise<GalleryRef | null>
  /**
   * Returns a gallery for a bundle that does not serve. It is the previous gallery if that has this
   * bundle. Otherwise it is an unfinished gallery of an earlier run, or a new one. The first
   * gallery of a library will serve.
   */
  create(bundle: GalleryBundle): Promise<GalleryRef>
  /**
   * Makes `to` serve after `retire` has retired `from`. If `retire` returns false, it returns false
   * and changes nothing. Running servers follow within seconds.
   */
  cutOver(from: GalleryRef, to: GalleryRef, retire: () => Promise<boolean>): Promise<boolean>
  /**
   * Makes a gallery that was restored from a backup serve. The library then has no previous
   * gallery.
   */
  replace(to: GalleryRef): Promise<void>
  /** Returns the galleries that do not serve. */
  others(): Promise<readonly GalleryRef[]>
  /** Deletes a gallery that does not serve. Throws DATA_LOCKED if a process uses it. */
  remove(gallery: GalleryRef): Promise<void>
}
