import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const NAME = '.restored'

/** Marks in a folder that the library was restored from a backup now. */
export async function markRestored(folder: string): Promise<void> {
  await rm(join(folder, NAME), { recursive: true, force: true })
  await mkdir(join(folder, NAME), { recursive: true })
}

/** Returns the time of the last restore in ms since 1970, or null. */
export async function restoredAt(folder: string): Promise<number | null> {
  return await stat(join(folder, NAME)).then(
    ({ ctimeMs }) => ctimeMs,
    () => null,
  )
}
