import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'

/** In a folder these are taken for media, by name alone; a file that is named itself is tried whatever it is called. */
const MEDIA_EXTENSIONS = new Set(
  (
    '3g2 3gp aac ac3 aif aifc aiff alac amr ape apng asf au avi avif bmp caf dts dv eac3 f4v flac flv gif heic heif jfif ' +
    'jpe jpeg jpg m2ts m2v m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpa mpe mpeg mpg mts mxf oga ogg ogv opus png qt ra rm ' +
    'rmvb tga tif tiff ts tta vob w64 wav webm webp wma wmv wv'
  ).split(' '),
)

export interface ScanOptions {
  readonly except?: readonly string[] // folders that are not entered
  readonly onWarning: (detail: string) => void
}

/**
 * The files to index under the paths given, folders in depth, each in order of name. A folder that cannot be read is
 * warned of and passed over. Links to files are followed, links to folders are not: they may go in circles.
 */
export async function* scan(paths: readonly string[], options: ScanOptions): AsyncGenerator<string> {
  for (const path of paths.map((path) => resolve(path))) {
    const isFolder = await stat(path).then(
      (stats) => stats.isDirectory(),
      () => false,
    )
    if (isFolder) yield* scanFolder(path, options)
    else yield path
  }
}

async function* scanFolder(folder: string, options: ScanOptions): AsyncGenerator<string> {
  if (options.except?.includes(folder)) return
  for (const entry of await entries(folder, options)) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* scanFolder(path, options)
    else if (isMediaName(entry.name) && (entry.isFile() || (await isFileLink(entry, path)))) yield path
  }
}

/** Whether a name ends as media files do. */
export function isMediaName(name: string): boolean {
  // macOS keeps resource forks of media beside them as ._name
  return !name.startsWith('._') && MEDIA_EXTENSIONS.has(extname(name).slice(1).toLowerCase())
}

async function entries(folder: string, { onWarning }: ScanOptions): Promise<Dirent[]> {
  try {
    const found = await readdir(folder, { withFileTypes: true })
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    onWarning(`${folder} is passed over: ${String(error)}`)
    return []
  }
}

function isFileLink(entry: Dirent, path: string): Promise<boolean> {
  return entry.isSymbolicLink()
    ? stat(path).then(
        (stats) => stats.isFile(),
        () => false,
      )
    : Promise.resolve(false)
}
