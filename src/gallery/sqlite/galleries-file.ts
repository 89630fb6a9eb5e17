import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { AppError, isNotFound } from '../../errors.js'
import { writeAtomic } from '../../storage/atomic-file.js'

const Entry = z.object({
  dir: z.string(), // folder of its catalogue and index, in the data folder
  bundle: z.string(), // a name under models/, or a path
  fingerprint: z.string(),
})
const Galleries = z.object({
  current: Entry, // the gallery that serves
  next: Entry.nullable(), // not null during a cut-over
  previous: Entry.nullable(), // the gallery that served before
})

/** One gallery in the file. */
export type GalleryEntry = z.infer<typeof Entry>
/** The content of the file. */
export type Galleries = z.infer<typeof Galleries>

/**
 * Reads the file. Returns undefined if the file does not exist: the library has never changed its
 * bundle. Throws DATA_UNUSABLE.
 */
export function readGalleries(file: string): Galleries | undefined {
  try {
    return Galleries.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    if (isNotFound(cause)) return undefined
    const detail = `${file} cannot be read: ${(cause as Error).message}`
    throw new AppError('DATA_UNUSABLE', detail, { cause })
  }
}

/** Replaces the file atomically. */
export function writeGalleries(file: string, galleries: Galleries): void {
  writeAtomic(file, `${JSON.stringify(galleries, undefined, 2)}\n`)
}
