import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'
import { pathBytes, pathText } from '../domain/path-text.js'

/** Whether a path is a folder itself or is inside it, judged by the names alone. */
export function isInside(folder: string, path: string): boolean {
  const inside = relative(folder, path)
  return inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)
}

/** The real path of a path, if it is inside one of the folders; else null. */
export async function realPathInside(
  folders: readonly string[],
  path: string,
): Promise<string | null> {
  const real = await realPath(path)
  const reals = await realPaths(folders)
  return reals.some((folder) => isInside(folder, real)) ? real : null
}

/** The path with all symbolic links resolved. Throws the system's error. */
export const realPath = async (path: string): Promise<string> =>
  pathText(await realpath(pathBytes(path), { encoding: 'buffer' }))

/** Real paths of folders; of one that does not exist, its path as given. */
export const realPaths = (folders: readonly string[]): Promise<readonly string[]> =>
  Promise.all(folders.map((folder) => realPath(folder).catch(() => folder)))
