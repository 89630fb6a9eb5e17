import type { UnitVector } from '../domain.js'

/** What the graph of one modality says of one sound or one frame. */
export interface Encoding {
  readonly embedding: UnitVector
  readonly logits: Float32Array | null // before the sigmoid, one per class; null where the graph does not tag
}
