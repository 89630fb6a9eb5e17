/** How a file is broken: bytes flipped, its end lost, or its head that of another file. */
export const MUTATIONS = ['flipped', 'truncated', 'headed'] as const
export type Mutation = (typeof MUTATIONS)[number]

const HEAD_BYTES = 2048

/** A broken copy of a file's bytes; `random` gives numbers in [0, 1). */
export function mutated(bytes: Buffer, mutation: Mutation, another: Buffer, random: () => number): Buffer {
  const upTo = (count: number) => Math.floor(random() * count)
  if (mutation === 'truncated') return Buffer.from(bytes.subarray(0, upTo(bytes.length)))
  const copy = Buffer.from(bytes)
  if (mutation === 'headed') {
    another.copy(copy, 0, 0, 1 + upTo(HEAD_BYTES))
    return copy
  }
  // Half of the flips hit the head, where what is wrong misleads most.
  const flips = 1 + upTo(Math.max(1, bytes.length / 200))
  for (let i = 0; i < flips && copy.length > 0; i++) {
    const at = upTo(i % 2 ? copy.length : Math.min(copy.length, HEAD_BYTES))
    copy[at] = (copy[at] as number) ^ (1 << upTo(8))
  }
  return copy
}
