import { AppError } from '../errors.js'

declare const unit: unique symbol

/** An embedding of length 1, so that a dot product of two is their cosine. */
export type UnitVector = Float32Array & { readonly [unit]: true }
const LENGTH_TOLERANCE = 1e-3 // room for half precision

/** Throws on what would poison an index for ever: a vector of another size, not of length 1, or with NaN in it. */
export function checkEmbedding(vector: UnitVector, dimension: number): void {
  if (vector.length !== dimension) {
    throw new AppError(
      'EMBEDDING_SIZE',
      `Expected an embedding of ${dimension} numbers, got ${vector.length}`,
    )
  }
  const length = Math.sqrt(dot(vector, vector))
  if (!(Math.abs(length - 1) <= LENGTH_TOLERANCE)) {
    throw new AppError(
      'ENCODER_FAILED',
      `Expected an embedding of length 1, got one of length ${length}`,
    )
  }
}

/** The cosine of two embeddings, which rounding must not carry out of [-1, 1]. */
export function cosine(a: UnitVector, b: UnitVector): number {
  return clampCosine(dot(a, b))
}

export function clampCosine(value: number): number {
  return Math.min(1, Math.max(-1, value))
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
