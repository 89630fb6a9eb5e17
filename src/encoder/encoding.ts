import type { UnitVector } from '../domain/vector.js'

/** Output of the graphs of one modality for one audio input or frame. */
export interface Encoding {
  readonly embedding: UnitVector
  /** One per class, before the sigmoid. Null if not requested or not supported. */
  readonly logits: Float32Array | null
}

/**
 * Output of the graphs for one segment. `joint` has the logits of the audio with each frame. It is
 * empty if the bundle does not tag both together.
 */
export interface SegmentEncoding {
  readonly audio: Encoding | null
  readonly frames: readonly Encoding[]
  readonly joint: readonly Float32Array[]
}
