import { stat } from 'node:fs/promises'
import { AppError } from '../errors.js'
import { fileHash } from '../file-hash.js'
import type { FileFacts } from '../gallery/catalogue.js'

/** FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function fileFacts(path: string): Promise<FileFacts> {
  try {
    const { size, mtimeMs } = await stat(path)
    return { bytes: size, mtimeMs }
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new AppError(missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE', `${path}: ${String(cause)}`, { cause })
  }
}

/** Whether there is surely no file: one that cannot be looked at for another reason is not gone. */
export async function isGone(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )
}

/** SHA-256 of a file's bytes, hex. FILE_UNREADABLE. */
export async function contentHash(path: string, signal?: AbortSignal): Promise<string> {
  try {
    return await fileHash(path, signal)
  } catch (cause) {
    signal?.throwIfAborted()
    throw new AppError('FILE_UNREADABLE', `${path}: ${String(cause)}`, { cause })
  }
}
