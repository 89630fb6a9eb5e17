import type { Note } from '../../domain/clip.js'
import type { SegmentFormat } from '../../domain/segment-format.js'
import { AppError } from '../../errors.js'
import type { MediaHeader } from '../probe/media-header.js'
import type { DecoderLog } from '../process/decoder-log.js'
import type { StagedFile } from '../staging/staged-file.js'
import { NO_AUDIO } from './audio.js'
import type { DecoderLogs } from './shared-process.js'
import type { Window } from './timing.js'
import { NO_VIDEO } from './video.js'
import { type StreamSummaries, toMs } from './zip-segments.js'

const MAX_HARMLESS_ERRORS = 2 // one undecodable packet logs two
const SHORT_AUDIO_SECONDS = 1

/** What decoding a file found. */
export interface DecodeSummary {
  readonly seconds: number // measured, from 0 or the start of the range; 0 for an image
  readonly notes: readonly Note[]
  readonly audible: boolean
  readonly visible: boolean
}

/** What `summarizeDecode` summarizes: the request, the streams and the logs of ffmpeg. */
interface DecodeFacts {
  readonly source: StagedFile
  readonly header: MediaHeader
  readonly summaries: StreamSummaries
  readonly logs: DecoderLogs
  readonly window: Window
  readonly mix: SegmentFormat['audio']['channels'] // of the model
  readonly isOneModality: boolean // one modality was requested, and may be empty
}

/**
 * Returns the summary of a decoded file. Throws RANGE_EMPTY, MEDIA_DAMAGED, MEDIA_TOO_LARGE or
 * MEDIA_NO_CONTENT if nothing of it is usable.
 */
export function summarizeDecode(facts: DecodeFacts): DecodeSummary {
  const { source, header, summaries, logs, window, mix, isOneModality } = facts
  const audio = summaries.audio ?? NO_AUDIO
  const video = summaries.video ?? NO_VIDEO
  if (isPastEnd(facts)) throw pastEnd(source, window.start)
  const hasAudio = audio.seconds > 0
  const isAudioLost = summaries.audio !== null && !hasAudio && logs.audio.hasErrors
  const isVideoLost = summaries.video !== null && !video.decoded && logs.video.hasErrors
  const isStreamLost = isAudioLost || isVideoLost
  const isWholeFile = window.end === Infinity && !isOneModality
  if (!hasAudio && !video.decoded && (isStreamLost || isWholeFile))
    throw damaged(source, [logs.audio, logs.video])
  if (!audio.audible && !video.visible && !isOneModality) throw noContent(source.name)

  const seconds = toMs(Math.min(Math.max(audio.seconds, video.seconds), window.end - window.start))
  const notes: Note[] = []
  if (hasAudio && !audio.audible) notes.push('AUDIO_SILENT')
  if (audio.audible && audio.seconds < SHORT_AUDIO_SECONDS) notes.push('AUDIO_SHORT')
  if (summaries.audio && header.audioTracks.length > 1) notes.push('AUDIO_TRACK_CHOSEN')
  if (audio.variant?.channels === 'first' && mix !== 'first') notes.push('AUDIO_FIRST_CHANNEL')
  if (summaries.video && header.otherVideos.length > 0) notes.push('VISUAL_TRACK_CHOSEN')
  if (video.decoded && !video.visible) notes.push('VISUAL_BLANK')
  if (video.visible && video.track?.hdr && !video.track.canToneMap) notes.push('VISUAL_HDR')
  if (header.video === null && header.cover !== null) notes.push('COVER_ONLY')
  if (isStreamLost || isDamaged(seconds, facts)) notes.push('DAMAGED')
  return { seconds, notes, audible: audio.audible, visible: video.visible }
}

/**
 * Returns whether the range begins after the end of the requested streams. If the length is known,
 * an empty range is damage. The length of audio without timestamps is an estimate.
 */
function isPastEnd({ header, summaries: { audio, video }, logs, window }: DecodeFacts): boolean {
  const isEstimated = header.audioTracks.some(({ spacing }) => spacing === 'untimed')
  const isLengthKnown = header.seconds !== null && !isEstimated
  if (window.start === 0 || isLengthKnown) return false
  if ((audio?.seconds ?? 0) > 0 || video?.inWindow) return false
  const requested = [...(audio ? [logs.audio] : []), ...(video ? [logs.video] : [])]
  return requested.length > 0 && requested.every(({ isTooLarge }) => !isTooLarge)
}

function pastEnd({ name }: StagedFile, start: number): AppError {
  const detail = `Expected a range that begins before the end of ${name}, got ${start} s.`
  return new AppError('RANGE_EMPTY', detail)
}

/**
 * Returns whether a file is damaged: if ffmpeg logged many errors, or any and over a second is
 * missing. A truncated last packet, or a tag after it, is harmless.
 */
function isDamaged(seconds: number, { header, logs, window }: DecodeFacts): boolean {
  if (logs.video.isTruncated) return true
  if (window.start > 0) return false // after a seek, frames lack the frames they refer to
  const isShort = window.end === Infinity && seconds < (header.seconds ?? 0) - 1
  return logs.audio.errorCount + logs.video.errorCount > (isShort ? 0 : MAX_HARMLESS_ERRORS)
}

/** Creates MEDIA_DAMAGED with the last errors of ffmpeg, or MEDIA_TOO_LARGE if memory was short. */
export function damaged({ name }: StagedFile, logs: readonly DecoderLog[]): AppError {
  if (logs.some(({ isTooLarge }) => isTooLarge)) {
    const detail = `Decoding ${name} takes more memory than is allowed: make it smaller.`
    return new AppError('MEDIA_TOO_LARGE', detail)
  }
  const lastErrors = logs.flatMap((log) => log.lastErrors).slice(-3)
  const cause = lastErrors.length > 0 ? `. ffmpeg says: ${lastErrors.join('; ')}` : ''
  return new AppError('MEDIA_DAMAGED', `Nothing of ${name} can be decoded${cause}`)
}

/** Creates MEDIA_NO_CONTENT. */
export function noContent(name: string): AppError {
  const detail = `Expected audible or visible content, got a silent, blank or empty file: ${name}`
  return new AppError('MEDIA_NO_CONTENT', detail)
}
