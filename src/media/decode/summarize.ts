import type { Note } from '../../domain/clip.js'
import type { SegmentFormat } from '../../domain/segment-format.js'
import { AppError } from '../../errors.js'
import type { MediaHeader } from '../probe/media-header.js'
import type { DecoderLog } from '../process/decoder-log.js'
import type { StagedFile } from '../staging/staged-file.js'
import { NO_AUDIO } from './audio.js'
import type { DecoderLogs } from './shared-process.js'
import { NO_VIDEO } from './video.js'
import { type StreamSummaries, toMs } from './zip-segments.js'

export interface DecodeSummary {
  readonly seconds: number // measured, from 0 or the range's start on; 0 for a picture
  readonly notes: readonly Note[]
  readonly audible: boolean
  readonly visible: boolean
}

/** What was asked for and what ffmpeg said of it. */
export interface DecodeFacts {
  readonly source: StagedFile
  readonly header: MediaHeader
  readonly summary: StreamSummaries
  readonly reports: DecoderLogs
  readonly window: { readonly start: number; readonly end: number }
  readonly mix: SegmentFormat['audio']['channels'] // as the model wants it
  readonly isHalf: boolean // only one modality was asked for: having nothing of it is an answer
}

const TOLERATED_ERRORS = 2 // one packet that cannot be decoded makes two
const SHORT_SOUND_SECONDS = 1

export function summarizeDecode(decoding: DecodeFacts): DecodeSummary {
  const { source, header, summary, reports, window, mix, isHalf } = decoding
  const sound = summary.audio ?? NO_AUDIO
  const picture = summary.video ?? NO_VIDEO
  if (isPastEnd(decoding)) throw pastEnd(source, window.start)
  const hasSound = sound.seconds > 0
  const soundIsLost = summary.audio !== null && !hasSound && reports.sound.hasErrors
  const pictureIsLost = summary.video !== null && !picture.decoded && reports.picture.hasErrors
  const isHalfLost = soundIsLost || pictureIsLost
  const isWhole = window.end === Infinity && !isHalf
  if (!hasSound && !picture.decoded && (isHalfLost || isWhole))
    throw damaged(source, Object.values(reports))
  if (!sound.audible && !picture.visible && !isHalf) throw noContent(source.name)

  const seconds = toMs(
    Math.min(Math.max(sound.seconds, picture.seconds), window.end - window.start),
  )
  const notes: Note[] = []
  if (hasSound && !sound.audible) notes.push('AUDIO_SILENT')
  if (sound.audible && sound.seconds < SHORT_SOUND_SECONDS) notes.push('AUDIO_SHORT')
  if (summary.audio && header.audioTracks.length > 1) notes.push('AUDIO_TRACK_CHOSEN')
  if (sound.variant?.channels === 'first' && mix !== 'first') notes.push('AUDIO_FIRST_CHANNEL')
  if (summary.video && header.otherVideos.length > 0) notes.push('VISUAL_TRACK_CHOSEN')
  if (picture.decoded && !picture.visible) notes.push('VISUAL_BLANK')
  if (picture.visible && picture.track?.hdr && !picture.track.canToneMap) notes.push('VISUAL_HDR')
  if (header.video === null && header.cover !== null) notes.push('COVER_ONLY')
  if (isHalfLost || isDamaged(seconds, decoding)) notes.push('DAMAGED')
  return { seconds, notes, audible: sound.audible, visible: picture.visible }
}

/**
 * Whether a range begins after the end of all that was asked for. Where the length is known, having
 * nothing is damage. Of sound without timestamps it is an estimate.
 */
function isPastEnd({ header, summary: { audio, video }, reports, window }: DecodeFacts): boolean {
  const isEstimated = header.audioTracks.some(({ spacing }) => spacing === 'untimed')
  const isLengthKnown = header.seconds !== null && !isEstimated
  if (window.start === 0 || isLengthKnown) return false
  if ((audio?.seconds ?? 0) > 0 || video?.inWindow) return false
  const asked = [...(audio ? [reports.sound] : []), ...(video ? [reports.picture] : [])]
  return asked.length > 0 && asked.every(({ isTooLarge }) => !isTooLarge)
}

function pastEnd({ name }: StagedFile, start: number): AppError {
  const detail = `Nothing of ${name} can be decoded from ${start} s on, where the range begins.`
  return new AppError('RANGE_EMPTY', detail)
}

/** A cut last packet, or a tag behind it, is no damage; many complaints are, or any where much is missing. */
function isDamaged(seconds: number, { header, reports, window }: DecodeFacts): boolean {
  if (reports.picture.isTruncated) return true
  if (window.start > 0) return false // to begin midway is to miss what frames refer to
  const isShort = window.end === Infinity && seconds < (header.seconds ?? 0) - 1
  return reports.sound.errorCount + reports.picture.errorCount > (isShort ? 0 : TOLERATED_ERRORS)
}

export function damaged({ name }: StagedFile, reports: readonly DecoderLog[]): AppError {
  if (reports.some(({ isTooLarge }) => isTooLarge)) {
    return new AppError('MEDIA_TOO_LARGE', `Decoding ${name} takes more memory than is allowed.`)
  }
  const words = reports.flatMap((report) => report.lastErrors).slice(-3)
  const said = words.length > 0 ? `. ffmpeg says: ${words.join('; ')}` : ''
  return new AppError('MEDIA_DAMAGED', `Nothing of ${name} can be decoded${said}`)
}

export function noContent(name: string): AppError {
  return new AppError(
    'MEDIA_NO_CONTENT',
    `Nothing can be heard or seen in ${name}: it is silent, blank or empty`,
  )
}
