import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pathBytes } from '../path-text.js'

/** A media file as ffmpeg is told of it. `name` is for messages. */
export interface Source extends AsyncDisposable {
  readonly url: string
  readonly name: string
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
  const folder = await mkdtemp(join(tmpdir(), 'earshot-media-'))
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

/** The file's name, fit for one line of a message. */
export function nameOf(path: string): string {
  return basename(path).replace(/\s+/g, ' ')
}
