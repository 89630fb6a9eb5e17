import type { SegmentFormat } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import type { Encoding } from './encoding.js'
import type { Golden, TagSource } from './manifest.js'

/** The golden sound: a rising tone of `length` samples. The exporter makes the same one by the same formula. */
export function goldenSamples(length: number, { audio }: SegmentFormat): Float32Array {
  return Float32Array.from({ length }, (_, n) => {
    const t = n / audio.sampleRateHz
    return 0.3 * Math.sin(2 * Math.PI * (200 + 300 * t) * t)
  })
}

/** The golden frame: ramps along both axes and a hyperbolic pattern, [H, W, 3]. */
export function goldenFrame({ visual }: SegmentFormat): Uint8Array {
  const frame = new Uint8Array(visual.width * visual.height * 3)
  for (let y = 0, i = 0; y < visual.height; y++) {
    for (let x = 0; x < visual.width; x++) {
      for (let c = 0; c < 3; c++) frame[i++] = (3 * y + 5 * x + 85 * c + ((x * y) >> 4)) & 255
    }
  }
  return frame
}

/** Fails with BUNDLE_INVALID where the graphs, as run here, do not answer what the exporter saw. */
export function checkGolden(what: TagSource, actual: Partial<Encoding>, golden: Golden): void {
  const expected: Partial<Golden['audio']> = golden[what] ?? {}
  const offEmbedding = expected.embedding ? maxDifference(actual.embedding, expected.embedding) : 0
  const offLogits = expected.logits ? maxDifference(actual.logits, expected.logits) : 0
  // Logits are some 50 times as long as an embedding's numbers; their float error is too.
  if (offEmbedding <= golden.atol && offLogits <= 50 * golden.atol) return
  throw new AppError(
    'BUNDLE_INVALID',
    `The ${what} graph does not reproduce its golden numbers: the embedding is off by ${offEmbedding.toExponential(1)}, ` +
      `the logits by ${offLogits.toExponential(1)}, allowed are ${golden.atol} and ${50 * golden.atol}. ` +
      'Export the bundle again, or ask for another execution provider (EARSHOT_PROVIDERS=cpu).',
  )
}

/** Infinity where the lengths differ or a number is missing, so that it never passes. */
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
