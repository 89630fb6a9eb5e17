import { realpath } from 'node:fs/promises'
import { isAbsolute, relative } from 'node:path'
import { AppError } from '../errors.js'

/**
 * The real path of a file that a client names, if it lies under one of the roots: links cannot lead out of them.
 * PATH_NOT_ALLOWED says nothing of what lies elsewhere, not even whether it exists.
 */
export async function allowedPath(path: string, roots: readonly string[]): Promise<string> {
  const refused = new AppError(
    'PATH_NOT_ALLOWED',
    'Only files under the roots of EARSHOT_ROOTS can be indexed by path.',
  )
  if (!isAbsolute(path)) throw refused
  const real = await realpath(path).catch(() => {
    throw refused
  })
  for (const root of roots) {
    const inside = relative(await realpath(root).catch(() => root), real)
    if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)) return real
  }
  throw refused
}
