import { isAbsolute } from 'node:path'
import { AppError } from '../errors.js'
import { realPathInside } from '../storage/path-within.js'

/**
 * Resolves a path that a client names, with its links, and checks that it is a root or inside one.
 * Throws PATH_NOT_ALLOWED otherwise. The error does not reveal whether the path exists.
 */
export async function allowedPath(path: string, roots: readonly string[]): Promise<string> {
  const real = isAbsolute(path) ? await realPathInside(roots, path).catch(() => null) : null
  if (real !== null) return real
  throw new AppError(
    'PATH_NOT_ALLOWED',
    'Only files and folders inside the roots of EARSHOT_ROOTS can be indexed by path.',
  )
}
