/** A catalogue with its index, made with one bundle. A library has several while its model changes. */
export interface GalleryRef {
  readonly id: string
  readonly bundle: string // a name under models/, or a path
  readonly fingerprint: string | null // null until its catalogue is first opened
}

/** The bundle that a gallery is made with. */
export interface GalleryBundle {
  readonly bundle: string
  readonly fingerprints: readonly string[] // its own, then those of the same embeddings
}

/** The galleries of a library, one of which serves. */
export interface GalleryRegistry {
  /**
   * The gallery that serves; undefined if the library has none. Completes a cut-over that a killed
   * process left after the old gallery was retired. Throws DATA_UNUSABLE.
   */
  current(): Promise<GalleryRef | undefined>
  /** The gallery that served before; null if there is none. */
  previous(): Promise<GalleryRef | null>
  /**
   * Returns the gallery for a bundle that does not serve: the previous one if it is of this bundle, else
   * one that an earlier run began, else a new one. In a library without galleries, the new one
   * will serve.
   */
  create(bundle: GalleryBundle): Promise<GalleryRef>
  /**
   * Makes `to` serve after `retire` has retired `from`. Returns false, and changes nothing, if `retire`
   * does. Servers follow within seconds.
   */
  cutOver(from: GalleryRef, to: GalleryRef, retire: () => Promise<boolean>): Promise<boolean>
  /** Makes a gallery that was restored from a backup serve. No gallery counts as the previous one. */
  replace(to: GalleryRef): Promise<void>
  /** Galleries that do not serve. */
  others(): Promise<readonly GalleryRef[]>
  /** Deletes a gallery that does not serve. Throws DATA_LOCKED if a process uses it. */
  remove(gallery: GalleryRef): Promise<void>
}
