import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../errors.js'
import { writeAtomic } from '../../storage/atomic-file.js'

const Place = z.object({
  dir: z.string(), // of its catalogue and index, in the data folder
  bundle: z.string(), // that it was made with: a name under models/, or a path
  fingerprint: z.string(),
})
const Places = z.object({ current: Place, next: Place.nullable(), previous: Place.nullable() })

/** Where a gallery lies. */
export type Place = z.infer<typeof Place>
/** The gallery that serves, the one that is to take its place, and the one whose place it took. */
export type Places = z.infer<typeof Places>

/** The first gallery of a library; further ones lie in folders of their own. */
export const ROOT_DIR = '.'

/** Undefined where the library has never changed its bundle. DATA_UNUSABLE. */
export function readGalleries(dataDir: string): Places | undefined {
  const file = fileOf(dataDir)
  try {
    return Places.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    if (
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ||
      (cause as NodeJS.ErrnoException).code === 'ENOTDIR'
    )
      return undefined
    throw new AppError('DATA_UNUSABLE', `${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** Whole or not at all, whoever reads it at the same time. */
export function writeGalleries(dataDir: string, places: Places): void {
  writeAtomic(fileOf(dataDir), `${JSON.stringify(places, undefined, 2)}\n`)
}

const fileOf = (dataDir: string): string => join(dataDir, 'galleries.json')
