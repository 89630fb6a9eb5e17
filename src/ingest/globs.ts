import { extname } from 'node:path'
import { compileGlob } from './glob.js'

/** In a folder these are taken for media, by name alone; a file that is named itself is tried whatever it is called. */
const MEDIA_EXTENSIONS = new Set(
  (
    '3g2 3gp aac ac3 aif aifc aiff alac amr ape apng asf au avi avif bmp caf dts dv eac3 f4v flac flv gif heic heif jfif ' +
    'jpe jpeg jpg m2ts m2v m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpa mpe mpeg mpg mts mxf oga ogg ogv opus png qt ra rm ' +
    'rmvb tga tif tiff ts tta vob w64 wav webm webp wma wmv wv'
  ).split(' '),
)

/** Which of the names in a folder a scan takes. Paths are relative to the source, with slashes. */
export interface Selection {
  takes(file: string): boolean
  ignores(fileOrFolder: string): boolean
}

/** A glob without a slash is of names at any depth, one with a slash of paths below the source. */
export function selection(include: readonly string[] = [], ignore: readonly string[] = []): Selection {
  const included = include.length > 0 ? matcher(include) : isMediaPath
  const ignored = matcher(ignore)
  return { takes: (file) => included(file) && !ignored(file), ignores: ignored }
}

function matcher(globs: readonly string[]): (path: string) => boolean {
  const matches = globs.map((glob) => {
    const match = compileGlob(glob)
    return glob.includes('/') ? match : (path: string) => match(path.slice(path.lastIndexOf('/') + 1))
  })
  return (path) => matches.some((match) => match(path))
}

const isMediaPath = (path: string): boolean => isMediaName(path.slice(path.lastIndexOf('/') + 1))

/** Whether a name ends as media files do. */
export function isMediaName(name: string): boolean {
  // macOS keeps resource forks of media beside them as ._name
  return !name.startsWith('._') && MEDIA_EXTENSIONS.has(extname(name).slice(1).toLowerCase())
}
