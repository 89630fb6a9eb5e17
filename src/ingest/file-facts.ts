import { readdir, stat } from 'node:fs/promises'
import { fileError, isNotFound } from '../errors.js'
import type { FileFacts } from '../gallery/catalogue.js'
import { pathBytes } from '../path-text.js'

/** FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function fileFacts(path: string): Promise<FileFacts> {
  try {
    const { size, mtimeMs } = await stat(pathBytes(path))
    return { bytes: size, mtimeMs }
  } catch (cause) {
    throw fileError(path, cause)
  }
}

/** Whether a file is by size and time as it was. */
export const isSame = (one: FileFacts, other: FileFacts): boolean =>
  one.bytes === other.bytes && one.mtimeMs === other.mtimeMs

/** Whether there is surely no file: one that cannot be looked at for another reason is not gone. */
export async function isGone(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(() => false, isNotFound)
}

/** Whether a pipe, a socket or a device is at a path: waiting makes no file of it. */
export async function isSpecial(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(
    (stats) => !stats.isFile() && !stats.isDirectory(),
    () => false,
  )
}

/** Whether a folder is gone or has nothing in it, as a mount has that is not there. */
export async function isLost(folder: string): Promise<boolean> {
  const stats = await stat(pathBytes(folder)).catch(() => null)
  if (stats?.isFile()) return false // a source may be a file
  return readdir(pathBytes(folder)).then((entries) => entries.length === 0, isNotFound)
}
