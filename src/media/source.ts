import { mkdtemp, rmdir, symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

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
  const folder = await mkdtemp(join(tmpdir(), 'earshot-media-'))
  const link = join(folder, 'media')
  const close = async () => {
    await unlink(link).catch(() => {}) // where it could not be made
    await rmdir(folder)
  }
  try {
    await symlink(resolve(path), link)
  } catch (cause) {
    await close()
    throw cause
  }
  return { url: `file:${link}`, name: nameOf(path), [Symbol.asyncDispose]: close }
}

/** The file's name, fit for one line of a message. */
export function nameOf(path: string): string {
  return basename(path).replace(/\s+/g, ' ')
}
