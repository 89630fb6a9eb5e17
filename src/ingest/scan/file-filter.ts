import { extname } from 'node:path'
import { MEDIA_EXTENSIONS } from '../../media/process/formats.js'
import { compileGlobs } from './glob.js'

/**
 * What storage systems, operating systems and phones keep among media: thumbnails, recycle bins,
 * snapshots, and files that are deleted or not yet whole.
 */
const DEFAULT_IGNORES: readonly string[] = [
  ...[
    '@eaDir',
    '#recycle',
    '#snapshot',
    '@Recycle',
    '@Recently-Snapshot',
    '.@__thumb',
    '.@upload_cache',
  ], // NAS
  ...[
    '.snapshot',
    '.snapshots',
    '.zfs',
    '.Trash',
    '.Trash-*',
    '.Trashes',
    'lost+found',
    '.thumbnails',
  ],
  ...['$RECYCLE.BIN', 'RECYCLER', 'System Volume Information', 'Thumbs.db'], // Windows
  ...[
    '.Spotlight-V100',
    '.fseventsd',
    '.DocumentRevisions-V100',
    '.TemporaryItems',
    '.AppleDouble',
  ], // macOS
  ...['.trashed-*', '.pending-*'], // Android
]

/** Which of the names in a folder a scan takes. Paths are relative to the source, with slashes. */
export interface FileFilter {
  takes(file: string): boolean
  ignores(fileOrFolder: string): boolean
}

/** A glob without a slash is of names at any depth, one with a slash of paths below the source. */
export function fileFilter(
  include: readonly string[] = [],
  ignore: readonly string[] = [],
  hasDefaultIgnores = true,
): FileFilter {
  const included = include.length > 0 ? matcher(include) : isMediaPath
  const ignored = matcher(hasDefaultIgnores ? [...DEFAULT_IGNORES, ...ignore] : ignore)
  return { takes: (file) => included(file) && !ignored(file), ignores: ignored }
}

function matcher(globs: readonly string[]): (path: string) => boolean {
  const compiled = compileGlobs(globs)
  const matches = compiled.map((match, i) => {
    return globs[i]?.includes('/')
      ? match
      : (path: string) => match(path.slice(path.lastIndexOf('/') + 1))
  })
  return (path) => matches.some((match) => match(path))
}

const isMediaPath = (path: string): boolean => isMediaName(path.slice(path.lastIndexOf('/') + 1))

/** Whether a name ends as media files do. */
export function isMediaName(name: string): boolean {
  // macOS keeps resource forks of media beside them as ._name
  return !name.startsWith('._') && MEDIA_EXTENSIONS.has(extname(name).slice(1).toLowerCase())
}
