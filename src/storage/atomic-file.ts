import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file atomically and syncs it to disk. A reader sees the old content or the new
 * content, even if the process is killed.
 */
export function writeAtomic(path: string, content: string | Buffer): void {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    writeFileSync(temporary, content)
    syncPath(temporary)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncPath(dirname(path))
}

/** Syncs the content of a file, or the entries of a folder, to disk. */
export async function flush(path: string | Buffer): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** Waits, and blocks the thread, until a file or the entries of a folder are on the disk. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
