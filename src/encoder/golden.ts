import type { SegmentFormat } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import type { Encoding } from './encoding.js'
import type { Golden, TagSource } from './manifest.js'

/**
 * Returns the golden audio: a rising tone of `length` samples. The exporter uses the same formula.
 */
export function goldenSamples(length: number, { audio }: SegmentFormat): Float32Array {
  return Float32Array.from({ length }, (_, n) => {
    const t = n / audio.sampleRateHz
    return 0.3 * Math.sin(2 * Math.PI * (200 + 300 * t) * t)
  })
}

/** Returns the golden frame, [H, W, 3]: ramps along both axes and a hyperbolic pattern. */
export function goldenFrame({ visual }: SegmentFormat): Uint8Array {
  const frame = new Uint8Array(visual.width * visual.height * 3)
  for (let y = 0, i = 0; y < visual.height; y++) {
    for (let x = 0; x < visual.width; x++) {
      for (let c = 0; c < 3; c++) frame[i++] = (3 * y + 5 * x + 85 * c + ((x * y) >> 4)) & 255
    }
  }
  return frame
}

/**
 * Throws BUNDLE_INVALID if the output of a graph differs from the golden numbers of the exporter.
 */
export function checkGolden(source: TagSource, actual: Partial<Encoding>, golden: Golden): void {
  const expected: Partial<Golden['audio']> = golden[source] ?? {}
  const offEmbedding = expected.embedding ? maxDifference(actual.embedding, expected.embedding) : 0
  const offLogits = expected.logits ? maxDifference(actual.logits, expected.logits) : 0
  // Logits are about 50 times as large as the numbers of an embedding, and so is their float error.
  if (offEmbedding <= golden.atol && offLogits <= 50 * golden.atol) return
  throw new AppError(
    'BUNDLE_INVALID',
    `The ${source} graph does not reproduce its golden numbers: ` +
      `the embedding is off by ${offEmbedding.toExponential(1)}, ` +
      `the logits by ${offLogits.toExponential(1)}. ` +
      `The limits are ${golden.atol} and ${50 * golden.atol}. ` +
      'Export the bundle again, or use another execution provider (EARSHOT_PROVIDERS=cpu).',
  )
}

/** Returns the largest difference, or Infinity if the lengths differ or a number is NaN. */
function maxDifference(
  actual: Float32Array | null | undefined,
  expected: readonly number[],
): number {
  if (actual?.length !== expected.length) return Infinity
  const worst = actual.reduce(
    (max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? NaN))),
    0,
  )
  return Number.isNaN(worst) ? Infinity : worst
}
