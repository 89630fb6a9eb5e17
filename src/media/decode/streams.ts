import type { SegmentFormat } from '../../domain/segment-format.js'
import type { MediaHeader, VideoTrack } from '../probe/media-header.js'
import { runFfmpeg } from '../process/ffmpeg.js'
import type { StagedFile } from '../staging/staged-file.js'
import { type AudioVariant, audioChunks, audioCommand } from './audio.js'
import { type DecoderLogs, decodeInOneProcess, type StreamKind } from './shared-process.js'
import type { Timing, Window } from './timing.js'
import { audioVariants, firstAudibleVariant, firstVisibleTrack } from './variants.js'
import { videoChunks } from './video.js'
import { gridCommand } from './video-command.js'
import type { Streams } from './zip-segments.js'

/** A larger picture takes larger blocks of memory than a gap in the sound may be filled with: it has its own ffmpeg. */
const LARGEST_SHARED_PIXELS = 3840 * 2160

export interface StreamRequest {
  readonly source: StagedFile
  readonly header: MediaHeader // without the halves that are not wanted
  readonly format: SegmentFormat
  readonly window: Window
  readonly reports: DecoderLogs
  readonly signal: AbortSignal
}

/** Sound and picture of a file, to be decoded side by side. */
export function openStreams(wanted: StreamRequest): Omit<Streams, 'stop'> {
  const { source, header, format, reports, signal } = wanted
  const { video, otherVideos, audioTracks } = header
  const timing = timingOf(wanted)
  const voices = audioVariants(audioTracks, format)
  const [voice] = voices
  const chunks = openChunks(wanted)
  const open = (
    voice: AudioVariant,
    chunks = runFfmpeg(source, audioCommand(voice, format, timing), reports.sound, signal),
  ) => audioChunks(chunks, voice, { format, timing, log: reports.sound })
  const options = { source, format, timing, signal }
  const look = (
    track: VideoTrack,
    chunks = runFfmpeg(source, gridCommand(track, format, timing), reports.picture, signal),
  ) => videoChunks(chunks, track, { ...options, log: reports.picture })
  const seen = video && chunks.picture && look(video, chunks.picture)
  return {
    audio:
      voice && chunks.sound
        ? firstAudibleVariant(open(voice, chunks.sound), voices, { ...options, open })
        : null,
    video: seen && firstVisibleTrack(seen, [video, ...otherVideos], { ...options, open: look }),
  }
}

/** What ffmpeg is to do for each half that there is; of the sound, for the first of its voices. */
export function streamCommands({
  header,
  format,
  window,
}: Pick<StreamRequest, 'header' | 'format' | 'window'>) {
  const timing = timingOf({ header, window })
  const [voice] = audioVariants(header.audioTracks, format)
  return {
    sound: voice ? audioCommand(voice, format, timing) : null,
    picture: header.video && gridCommand(header.video, format, timing),
  }
}

function openChunks(
  wanted: StreamRequest,
): Record<StreamKind, AsyncGenerator<Buffer, void> | null> {
  const { source, header, window, reports, signal } = wanted
  const { sound, picture } = streamCommands(wanted)
  const canShare = window.start === 0 && !isHuge(header.video) // a seek is not the same for sound and picture
  if (sound && picture && canShare)
    return decodeInOneProcess(source, { sound, picture }, reports, signal)
  return {
    sound: sound && runFfmpeg(source, sound, reports.sound, signal),
    picture: picture && runFfmpeg(source, picture, reports.picture, signal),
  }
}

function timingOf({ header, window }: Pick<StreamRequest, 'header' | 'window'>): Timing {
  return { window, clock: header.clock }
}

const isHuge = (picture: VideoTrack | null) =>
  (picture?.width ?? 0) * (picture?.height ?? 0) > LARGEST_SHARED_PIXELS
