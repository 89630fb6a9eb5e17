import type { TestContext } from 'node:test'
import type { UnitVector } from '../../src/domain/vector.js'

/** Returns random numbers that differ on each run. Prints the seed. EARSHOT_SEED can set it. */
export function freshlySeeded(test: TestContext): () => number {
  const seed = Number(process.env.EARSHOT_SEED ?? Date.now())
  test.diagnostic(`EARSHOT_SEED=${seed}`)
  return seeded(seed)
}

/** Returns numbers in [0, 1) that are the same on every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function unit(values: Iterable<number>): UnitVector {
  const vector = Float32Array.from(values)
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length) as UnitVector
}

export function randomUnit(dimension: number, random: () => number): UnitVector {
  return unit(Array.from({ length: dimension }, () => gaussian(random)))
}

/**
 * Draws from a mixture of `clusters` on the sphere, similar to the embeddings of a library. Two
 * vectors of one cluster have a cosine of about 1 / (1 + spread²), and of two clusters about 0.
 * Inside a cluster, a few directions vary strongly and the others vary little.
 */
export function clustered({
  dimension,
  clusters,
  spread = 0.8,
  random,
}: {
  readonly dimension: number
  readonly clusters: number
  readonly spread?: number
  readonly random: () => number
}): () => UnitVector {
  const centres = Array.from({ length: clusters }, () => randomUnit(dimension, random))
  return () => {
    const centre = centres[Math.floor(random() * clusters)] as UnitVector
    const noise = unit(
      Array.from({ length: dimension }, (_, i) => gaussian(random) / Math.sqrt(1 + i / 8)),
    )
    return unit(centre.map((value, i) => value + spread * (noise[i] as number)))
  }
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
