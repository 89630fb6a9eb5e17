import { readFile, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { seeded } from '../contract/vectors.js'

/**
 * How a file is damaged: bits flipped, its end cut off, or its head replaced by that of another
 * file.
 */
const MUTATIONS = ['flipped', 'truncated', 'headed'] as const
type Mutation = (typeof MUTATIONS)[number]

const HEAD_BYTES = 2048

/** Returns a damaged copy of a file's bytes. `random` returns numbers in [0, 1). */
function mutated(bytes: Buffer, mutation: Mutation, another: Buffer, random: () => number): Buffer {
  const upTo = (count: number) => Math.floor(random() * count)
  if (mutation === 'truncated') return Buffer.from(bytes.subarray(0, upTo(bytes.length)))
  const copy = Buffer.from(bytes)
  if (mutation === 'headed') {
    another.copy(copy, 0, 0, 1 + upTo(HEAD_BYTES))
    return copy
  }
  // Half of the flips are in the head, where an error misleads the decoder most.
  const flips = 1 + upTo(Math.max(1, bytes.length / 200))
  for (let i = 0; i < flips && copy.length > 0; i++) {
    const at = upTo(i % 2 ? copy.length : Math.min(copy.length, HEAD_BYTES))
    copy[at] = (copy[at] as number) ^ (1 << upTo(8))
  }
  return copy
}

/**
 * Writes `count` damaged copies of files into a folder. The seed selects the files and mutations.
 */
export async function writeMutated(
  files: readonly string[],
  folder: string,
  count: number,
  seed = 1,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const random = seeded(1000 * seed + i)
    const pick = () => files[Math.floor(random() * files.length)] as string
    const [file, another, mutation] = [
      pick(),
      await readFile(pick()),
      MUTATIONS[i % MUTATIONS.length] as Mutation,
    ]
    const broken = mutated(await readFile(file), mutation, another, random)
    await writeFile(
      join(folder, `${String(i).padStart(4, '0')}-${mutation}${extname(file)}`),
      broken,
    )
  }
}
