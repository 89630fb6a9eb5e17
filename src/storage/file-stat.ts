import { readdir, stat } from 'node:fs/promises'
import type { FileStat } from '../domain/file-stat.js'
import { pathBytes } from '../domain/path-text.js'
import { fileError, isNotFound } from '../errors.js'

/** FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function statFile(path: string): Promise<FileStat> {
  try {
    const { size, mtimeMs } = await stat(pathBytes(path))
    return { bytes: size, mtimeMs }
  } catch (cause) {
    throw fileError(path, cause)
  }
}

/** Whether a file is by size and time as it was. */
export const isSameStat = (one: FileStat, other: FileStat): boolean =>
  one.bytes === other.bytes && one.mtimeMs === other.mtimeMs

/** Whether there is surely no file: one that cannot be looked at for another reason is not gone. */
export async function isMissing(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(() => false, isNotFound)
}

/** Whether a pipe, a socket or a device is at a path: waiting makes no file of it. */
export async function isSpecialFile(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(
    (stats) => !stats.isFile() && !stats.isDirectory(),
    () => false,
  )
}

/** Whether a folder is gone or has nothing in it, as a mount has that is not there. */
export async function isFolderOffline(folder: string): Promise<boolean> {
  const stats = await stat(pathBytes(folder)).catch(() => null)
  if (stats?.isFile()) return false // a source may be a file
  return readdir(pathBytes(folder)).then((entries) => entries.length === 0, isNotFound)
}
