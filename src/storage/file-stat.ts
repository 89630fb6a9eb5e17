import { readdir, stat } from 'node:fs/promises'
import type { FileStat } from '../domain/file-stat.js'
import { pathBytes } from '../domain/path-text.js'
import { fileError, isNotFound } from '../errors.js'

/** Returns the size and time of a file. Throws FILE_NOT_FOUND or FILE_UNREADABLE. */
export async function statFile(path: string): Promise<FileStat> {
  try {
    const { size, mtimeMs } = await stat(pathBytes(path))
    return { bytes: size, mtimeMs }
  } catch (cause) {
    throw fileError(path, cause)
  }
}

/** Returns whether the size and the time are equal. */
export const isSameStat = (one: FileStat, other: FileStat): boolean =>
  one.bytes === other.bytes && one.mtimeMs === other.mtimeMs

/** Returns whether the file does not exist. Returns false if the check fails for another reason. */
export async function isMissing(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(() => false, isNotFound)
}

/** Returns whether a path is a pipe, a socket or a device. A later retry does not change this. */
export async function isSpecialFile(path: string): Promise<boolean> {
  return stat(pathBytes(path)).then(
    (stats) => !stats.isFile() && !stats.isDirectory(),
    () => false,
  )
}

/** Returns whether a folder is missing or empty, like the folder of an absent mount. */
export async function isFolderOffline(folder: string): Promise<boolean> {
  const stats = await stat(pathBytes(folder)).catch(() => null)
  if (stats?.isFile()) return false // a source may be a file
  return readdir(pathBytes(folder)).then((entries) => entries.length === 0, isNotFound)
}
