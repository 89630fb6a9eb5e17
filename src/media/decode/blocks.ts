/**
 * Cuts chunks of any length into blocks. `allocate` creates the next block to fill, or returns null
 * to drop the rest. The last block may be shorter than allocated.
 */
export async function* blocksOf<T extends Float32Array | Uint8Array>(
  chunks: AsyncIterable<T>,
  allocate: () => T | null,
): AsyncGenerator<T> {
  let block = allocate()
  let filled = 0
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length && block; ) {
      const part = chunk.subarray(from, from + block.length - filled)
      block.set(part, filled)
      from += part.length
      filled += part.length
      if (filled < block.length) continue
      yield block
      block = allocate()
      filled = 0
    }
  }
  if (block && filled > 0) yield block.subarray(0, filled) as T
}
