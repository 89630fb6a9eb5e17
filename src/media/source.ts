import { mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pathBytes } from '../path-text.js'

/** A media file as ffmpeg is told of it. `name` is for messages. */
export interface Source extends AsyncDisposable {
  readonly path: string // of the link to it
  readonly url: string
  readonly name: string
  readonly options?: readonly string[] // options of the input, for ffmpeg and ffprobe alike
}

/**
 * Links to the file from an empty folder under a name without extension. So ffmpeg judges by content alone, takes no
 * character of the name for a pattern, an option or a protocol, and finds nothing beside the file to open.
 */
export async function openSource(path: string): Promise<Source> {
  const link = await linkTo(path, 'media')
  return { ...link, url: `file:${link.path}`, name: nameOf(path) }
}

/** A link to a file, alone in a folder, under another name. */
export async function linkTo(path: string, name: string): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), PREFIX))
  const link = join(folder, name)
  const close = () => rm(folder, { recursive: true, force: true })
  try {
    await symlink(pathBytes(resolve(path)), link)
  } catch (cause) {
    await close()
    throw cause
  }
  return { path: link, [Symbol.asyncDispose]: close }
}

/** Removes the folders of links that killed processes have left; what is younger than a day may be in use. */
export async function sweepLinks(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name)
    const isOld = async () => Date.now() - (await stat(folder)).mtimeMs > ABANDONED_MS
    if (name.startsWith(PREFIX) && (await isOld().catch(() => false)))
      await rm(folder, { recursive: true, force: true })
  }
}

const PREFIX = 'earshot-media-'
const ABANDONED_MS = 24 * 3600 * 1000

/** The file's name, fit for one line of a message. */
export function nameOf(path: string): string {
  return basename(path).replace(/\s+/g, ' ')
}
