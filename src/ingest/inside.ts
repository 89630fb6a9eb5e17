import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'
import { pathBytes, pathText } from '../path-text.js'

/** Whether a path is a folder itself or lies in it, by name alone. */
export function isInside(folder: string, path: string): boolean {
  const inside = relative(folder, path)
  return inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside)
}

/** What a path really is, links followed, where that lies in one of the folders; else null. */
export async function realPathInside(folders: readonly string[], path: string): Promise<string | null> {
  const real = await realPath(path)
  const reals = await Promise.all(folders.map((folder) => realPath(folder).catch(() => folder)))
  return reals.some((folder) => isInside(folder, real)) ? real : null
}

const realPath = async (path: string): Promise<string> =>
  pathText(await realpath(pathBytes(path), { encoding: 'buffer' }))
