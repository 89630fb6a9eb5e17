import type { UnitVector } from '../src/domain/vector.js'
import type { Bundle } from '../src/encoder/bundle.js'
import type { Encoding } from '../src/encoder/encoding.js'
import type { IngestDeps } from '../src/ingest/ingest-file.js'

/** Creates an encoder that returns the same result for every input without delay. */
export function nullEncoder(bundle: Bundle): IngestDeps['encoder'] {
  const encoding = (): Encoding => ({
    embedding: Float32Array.from({ length: bundle.dimension }, (_, i) =>
      Number(i === 0),
    ) as UnitVector,
    logits: new Float32Array(bundle.classes.length),
  })
  return {
    bundle,
    isAvailable: true,
    restarted: async () => true,
    encodeSegment: async ({ samples, frames }) => ({
      audio: samples && encoding(),
      frames: frames.map(encoding),
      joint: [],
    }),
  }
}
