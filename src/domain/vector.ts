import { AppError } from '../errors.js'

declare const unit: unique symbol

/** An embedding of length 1. The dot product of two embeddings is their cosine. */
export type UnitVector = Float32Array & { readonly [unit]: true }
const LENGTH_TOLERANCE = 1e-3 // allows for half precision

/**
 * Checks that an index can store a vector. Throws EMBEDDING_SIZE if the size differs. Throws
 * ENCODER_FAILED if the length is not 1 or a number is NaN.
 */
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

/** Returns the cosine of two embeddings, limited to [-1, 1] against rounding errors. */
export function cosine(a: UnitVector, b: UnitVector): number {
  return clampCosine(dot(a, b))
}

/** Limits a cosine to [-1, 1]. */
export function clampCosine(value: number): number {
  return Math.min(1, Math.max(-1, value))
}

/** Returns the dot product of two vectors of equal size. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
