import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

const READ_BYTES = 2 ** 20

/** SHA-256 of a file's bytes, hex; streamed, whatever the file's size. */
export async function fileHash(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: READ_BYTES }), hash, { ...(signal && { signal }) })
  return hash.digest('hex')
}
