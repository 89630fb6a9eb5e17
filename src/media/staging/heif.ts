import { AppError } from '../../errors.js'

const BRANDS = new Set([
  'heic',
  'heix',
  'heim',
  'heis',
  'hevc',
  'hevx',
  'mif1',
  'msf1',
  'avif',
  'avis',
])

/** Maximum size of the item list at the start of a HEIF file, in bytes. */
export const HEIF_ITEMS_BYTES = 1 << 16

/** Returns whether a file starts as HEIF, the container of HEIC and AVIF (ISO/IEC 23008-12). */
export function isHeif(head: Buffer): boolean {
  return head.toString('latin1', 4, 8) === 'ftyp' && BRANDS.has(head.toString('latin1', 8, 12))
}

/** Returns whether the image has tiles: an item of type `grid` (ISO/IEC 23008-12, 6.6.2.3). */
export function hasTiles(start: Buffer): boolean {
  // An `infe` box: version, flags, an identifier of 2 or 4 bytes, a protection index, the type.
  return /infe[\s\S]{8}(?:[\s\S]{2})?grid/.test(start.toString('latin1'))
}

/**
 * Creates MEDIA_HEIF_UNSUPPORTED. ffprobe lists the tiles of an image as tracks, and none of them
 * is the whole image. An ffmpeg before 7 does not open HEIC.
 */
export function heifUnsupported(name: string, reason: string): AppError {
  const detail = `${name} is a HEIC or AVIF image ${reason}: convert it to JPEG or PNG and add that`
  return new AppError('MEDIA_HEIF_UNSUPPORTED', detail)
}
