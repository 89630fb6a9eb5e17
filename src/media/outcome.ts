import type { Note, SegmentFormat } from '../domain.js'
import { AppError } from '../errors.js'
import { NOTHING_HEARD } from './audio.js'
import { type Summary, toMs } from './join.js'
import type { Probe } from './probe.js'
import type { Report } from './report.js'
import type { Source } from './source.js'
import type { Reports } from './together.js'
import { NOTHING_SEEN } from './video.js'

export interface DecodeOutcome {
  readonly seconds: number // measured, from 0 or the range's start on; 0 for a picture
  readonly notes: readonly Note[]
  readonly audible: boolean
  readonly visible: boolean
}

/** What was asked for and what ffmpeg said of it. */
export interface Decoding {
  readonly source: Source
  readonly header: Probe
  readonly summary: Summary
  readonly reports: Reports
  readonly window: { readonly start: number; readonly end: number }
  readonly mix: SegmentFormat['audio']['channels'] // as the model wants it
  readonly isHalf: boolean // only one modality was asked for: having nothing of it is an answer
}

const TOLERATED_COMPLAINTS = 2 // one packet that cannot be decoded makes two
const SHORT_SOUND_SECONDS = 1

export function conclude(decoding: Decoding): DecodeOutcome {
  const { source, header, summary, reports, window, mix, isHalf } = decoding
  const sound = summary.sound ?? NOTHING_HEARD
  const picture = summary.picture ?? NOTHING_SEEN
  if (isPastEnd(decoding)) throw pastEnd(source, window.start)
  const hasSound = sound.seconds > 0
  const soundIsLost = summary.sound !== null && !hasSound && reports.sound.saysTrouble
  const pictureIsLost = summary.picture !== null && !picture.decoded && reports.picture.saysTrouble
  const isHalfLost = soundIsLost || pictureIsLost
  const isWhole = window.end === Infinity && !isHalf
  if (!hasSound && !picture.decoded && (isHalfLost || isWhole)) throw damaged(source, Object.values(reports))
  if (!sound.audible && !picture.visible && !isHalf) throw noContent(source.name)

  const seconds = toMs(Math.min(Math.max(sound.seconds, picture.seconds), window.end - window.start))
  const notes: Note[] = []
  if (hasSound && !sound.audible) notes.push('AUDIO_SILENT')
  if (sound.audible && sound.seconds < SHORT_SOUND_SECONDS) notes.push('AUDIO_SHORT')
  if (summary.sound && header.sounds.length > 1) notes.push('AUDIO_TRACK_CHOSEN')
  if (sound.voice?.channels === 'first' && mix !== 'first') notes.push('AUDIO_FIRST_CHANNEL')
  if (summary.picture && header.otherPictures.length > 0) notes.push('VISUAL_TRACK_CHOSEN')
  if (picture.decoded && !picture.visible) notes.push('VISUAL_BLANK')
  if (picture.visible && picture.track?.hdr && !picture.track.canToneMap) notes.push('VISUAL_HDR')
  if (header.picture === null && header.cover !== null) notes.push('COVER_ONLY')
  if (isHalfLost || isDamaged(seconds, decoding)) notes.push('DAMAGED')
  return { seconds, notes, audible: sound.audible, visible: picture.visible }
}

/**
 * Whether a range begins after the end of all that was asked for. Where the length is known, having
 * nothing is damage. Of sound without timestamps it is an estimate.
 */
function isPastEnd({ header, summary: { sound, picture }, reports, window }: Decoding): boolean {
  const isEstimated = header.sounds.some(({ spacing }) => spacing === 'untimed')
  const isLengthKnown = header.seconds !== null && !isEstimated
  if (window.start === 0 || isLengthKnown) return false
  if ((sound?.seconds ?? 0) > 0 || picture?.inWindow) return false
  const asked = [...(sound ? [reports.sound] : []), ...(picture ? [reports.picture] : [])]
  return asked.length > 0 && asked.every(({ isTooLarge }) => !isTooLarge)
}

function pastEnd({ name }: Source, start: number): AppError {
  const detail = `Nothing of ${name} can be decoded from ${start} s on, where the range begins.`
  return new AppError('RANGE_EMPTY', detail)
}

/** A cut last packet, or a tag behind it, is no damage; many complaints are, or any where much is missing. */
function isDamaged(seconds: number, { header, reports, window }: Decoding): boolean {
  if (reports.picture.isCut) return true
  if (window.start > 0) return false // to begin midway is to miss what frames refer to
  const isShort = window.end === Infinity && seconds < (header.seconds ?? 0) - 1
  return reports.sound.complaints + reports.picture.complaints > (isShort ? 0 : TOLERATED_COMPLAINTS)
}

export function damaged({ name }: Source, reports: readonly Report[]): AppError {
  if (reports.some(({ isTooLarge }) => isTooLarge)) {
    return new AppError('MEDIA_TOO_LARGE', `Decoding ${name} takes more memory than is allowed.`)
  }
  const words = reports.flatMap((report) => report.words).slice(-3)
  const said = words.length > 0 ? `. ffmpeg says: ${words.join('; ')}` : ''
  return new AppError('MEDIA_DAMAGED', `Nothing of ${name} can be decoded${said}`)
}

export function noContent(name: string): AppError {
  return new AppError('MEDIA_NO_CONTENT', `Nothing can be heard or seen in ${name}: it is silent, blank or empty`)
}
