import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

const READ_BYTES = 2 ** 20

/** SHA-256 of a file's bytes, hex; streamed, whatever the file's size. */
export async function fileHash(path: string | Buffer, signal?: AbortSignal): Promise<string> {
  await using file = await open(path)
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafeSlow(READ_BYTES)
  for (;;) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(piece, 0, READ_BYTES)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(piece.subarray(0, bytesRead))
  }
}

const PIECE_BYTES = 2 ** 16

/**
 * SHA-256 of a file's size and of its head, middle and tail, hex: files that differ in it are different, and a file that
 * moved is known again by it without being read whole.
 */
export async function quickHash(path: string | Buffer): Promise<string> {
  await using file = await open(path)
  const { size } = await file.stat()
  const hash = createHash('sha256').update(String(size))
  const piece = Buffer.alloc(PIECE_BYTES)
  for (const at of new Set(
    [0, (size - PIECE_BYTES) / 2, size - PIECE_BYTES].map((at) => Math.max(0, Math.floor(at))),
  )) {
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, at)
    hash.update(piece.subarray(0, bytesRead))
  }
  return hash.digest('hex')
}
