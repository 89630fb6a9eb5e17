import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'
import { pathBytes, pathText } from '../domain/path-text.js'

/** Returns whether a path is the folder itself or is inside it. It compares only the names. */
export function isInside(folder: string, path: string): boolean {
  const inside = relative(folder, path)
  return inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)
}

/**
 * Returns the real path if it is inside one of the folders, or null. Throws the error of the
 * system.
 */
export async function realPathInside(
  folders: readonly string[],
  path: string,
): Promise<string | null> {
  const real = await realPath(path)
  const reals = await realPaths(folders)
  return reals.some((folder) => isInside(folder, real)) ? real : null
}

/** Returns the path with all symbolic links resolved. Throws the error of the system. */
export const realPath = async (path: string): Promise<string> =>
  pathText(await realpath(pathBytes(path), { encoding: 'buffer' }))

/** Returns the real paths of folders. If a folder does not exist, returns its path unchanged. */
export const realPaths = (folders: readonly string[]): Promise<readonly string[]> =>
  Promise.all(folders.map((folder) => realPath(folder).catch(() => folder)))
