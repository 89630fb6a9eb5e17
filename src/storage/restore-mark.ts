import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const NAME = '.restored'

/** Notes in a folder that the library was restored from a backup just now. */
export async function markRestored(folder: string): Promise<void> {
  await rm(join(folder, NAME), { recursive: true, force: true })
  await mkdir(join(folder, NAME), { recursive: true })
}

/** When the library was last restored, in ms since 1970; null if it never was. */
export async function restoredAt(folder: string): Promise<number | null> {
  return await stat(join(folder, NAME)).then(
    ({ ctimeMs }) => ctimeMs,
    () => null,
  )
}
