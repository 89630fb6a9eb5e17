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

/** How much of a HEIF file lists its items, at most. */
export const HEIF_ITEMS_BYTES = 1 << 16

/** Whether a file begins as HEIF does, the container of HEIC and AVIF (ISO/IEC 23008-12). */
export function isHeif(head: Buffer): boolean {
  return head.toString('latin1', 4, 8) === 'ftyp' && BRANDS.has(head.toString('latin1', 8, 12))
}

/** Whether the picture consists of tiles: an item of the type `grid` (ISO/IEC 23008-12, 6.6.2.3). */
export function hasTiles(start: Buffer): boolean {
  // An `infe` box: version, flags, an identifier of 2 or 4 bytes, a protection index, the type.
  return /infe[\s\S]{8}(?:[\s\S]{2})?grid/.test(start.toString('latin1'))
}

/** For tiles, which ffprobe gives as tracks none of which is the picture, and for HEIC with ffmpeg before 7. */
export function heifUnsupported(name: string, what: string): AppError {
  const detail = `${name} is a HEIC or AVIF picture ${what}: convert it to JPEG or PNG and add that`
  return new AppError('MEDIA_HEIF_UNSUPPORTED', detail)
}
