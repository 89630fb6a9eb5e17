import { seeded } from '../test/contract/vectors.js'

const RESAMPLES = 2000

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

/** Returns the 95 % bootstrap interval of a statistic. Each run gives the same result. */
export function interval<T>(
  items: readonly T[],
  figure: (items: readonly T[]) => number,
): readonly [number, number] {
  const random = seeded(1)
  const draw = () => items.map(() => items[Math.floor(random() * items.length)] as T)
  const figures = Array.from({ length: RESAMPLES }, () => figure(draw())).sort((a, b) => a - b)
  return [
    figures[Math.floor(RESAMPLES * 0.025)] ?? NaN,
    figures[Math.floor(RESAMPLES * 0.975)] ?? NaN,
  ]
}
