import type { UnitVector } from '../domain/vector.js'

/** What the graphs of one modality say of one sound or one frame. */
export interface Encoding {
  readonly embedding: UnitVector
  readonly logits: Float32Array | null // before the sigmoid, one per class; null where not asked for, or not given
}

/** What the graphs say of one segment. `joint`: logits of the sound with each frame; empty where they are not tagged together. */
export interface SegmentEncoding {
  readonly audio: Encoding | null
  readonly frames: readonly Encoding[]
  readonly joint: readonly Float32Array[]
}
