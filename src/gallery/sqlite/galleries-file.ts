import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { AppError, isNotFound } from '../../errors.js'
import { writeAtomic } from '../../storage/atomic-file.js'

const Entry = z.object({
  dir: z.string(), // of its catalogue and index, in the data folder
  bundle: z.string(), // that it was made with: a name under models/, or a path
  fingerprint: z.string(),
})
const Galleries = z.object({
  current: Entry, // serves
  next: Entry.nullable(), // is about to serve: a cut-over has begun
  previous: Entry.nullable(), // served before
})

export type GalleryEntry = z.infer<typeof Entry>
export type Galleries = z.infer<typeof Galleries>

/** Reads which galleries serve. Undefined if the library has never changed its bundle. DATA_UNUSABLE. */
export function readGalleries(file: string): Galleries | undefined {
  try {
    return Galleries.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    if (isNotFound(cause)) return undefined
    const detail = `${file} cannot be read: ${(cause as Error).message}`
    throw new AppError('DATA_UNUSABLE', detail, { cause })
  }
}

/** Writes the file in one step, whoever reads it at the same time. */
export function writeGalleries(file: string, galleries: Galleries): void {
  writeAtomic(file, `${JSON.stringify(galleries, undefined, 2)}\n`)
}
