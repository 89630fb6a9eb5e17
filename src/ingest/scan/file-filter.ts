import { extname } from 'node:path'
import { MEDIA_EXTENSIONS } from '../../media/process/formats.js'
import { compileGlobs } from './glob.js'

/**
 * Names that storage systems, operating systems and phones keep among media: thumbnails, recycle
 * bins, snapshots, and deleted or incomplete files.
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

/** Selects the files and folders of a scan. Paths are relative to the source and have slashes. */
export interface FileFilter {
  /** Returns true if a scan ingests the file. */
  takes(file: string): boolean
  /** Returns true if a scan skips the file, or does not enter the folder. */
  ignores(fileOrFolder: string): boolean
}

/**
 * Creates a filter from globs. A glob without a slash matches names at any depth. A glob with a
 * slash matches paths below the source. Without `include` the filter takes media extensions. Throws
 * GLOB_INVALID.
 */
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

/** Returns true if a name has the extension of a media file. */
export function isMediaName(name: string): boolean {
  // macOS stores the resource fork of a file as ._name in the same folder
  return !name.startsWith('._') && MEDIA_EXTENSIONS.has(extname(name).slice(1).toLowerCase())
}
