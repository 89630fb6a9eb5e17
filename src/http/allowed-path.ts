import { isAbsolute } from 'node:path'
import { AppError } from '../errors.js'
import { realPathInside } from '../storage/path-within.js'

/**
 * The real path of what a client names, if it is one of the roots or lies under one: links cannot lead out of them.
 * PATH_NOT_ALLOWED says nothing of what lies elsewhere, not even whether it exists.
 */
export async function allowedPath(path: string, roots: readonly string[]): Promise<string> {
  const real = isAbsolute(path) ? await realPathInside(roots, path).catch(() => null) : null
  if (real !== null) return real
  throw new AppError(
    'PATH_NOT_ALLOWED',
    'Only what lies under the roots of EARSHOT_ROOTS can be indexed by path.',
  )
}
