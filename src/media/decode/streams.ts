import type { SegmentFormat } from '../../domain/segment-format.js'
import type { MediaHeader, VideoTrack } from '../probe/media-header.js'
import { type FfmpegCommand, runFfmpeg } from '../process/ffmpeg.js'
import type { StagedFile } from '../staging/staged-file.js'
import { type AudioVariant, audioChunks, audioCommand } from './audio.js'
import { type DecoderLogs, decodeInOneProcess, type StreamKind } from './shared-process.js'
import type { Timing, Window } from './timing.js'
import { audioVariants, firstAudibleVariant, firstVisibleTrack } from './variants.js'
import { videoChunks } from './video.js'
import { gridCommand } from './video-command.js'
import type { Streams } from './zip-segments.js'

/**
 * A larger video has its own ffmpeg: it needs larger blocks of memory than an audio gap may be
 * filled with.
 */
const MAX_SHARED_PIXELS = 3840 * 2160

/** What `openStreams` decodes. */
interface StreamRequest {
  readonly source: StagedFile
  readonly header: MediaHeader // without the streams that are not wanted
  readonly format: SegmentFormat
  readonly window: Window
  readonly logs: DecoderLogs
  readonly signal: AbortSignal
}

/**
 * Opens the audio and the video of a file, to be read in parallel. Each is null if the header has
 * none.
 */
export function openStreams(request: StreamRequest): Omit<Streams, 'stop'> {
  const { source, header, format, logs, signal } = request
  const { video, otherVideos, audioTracks } = header
  const timing = timingOf(request)
  const options = { source, format, timing, signal }
  const variants = audioVariants(audioTracks, format)
  const [variant] = variants
  const chunks = openChunks(request)
  const openAudio = (
    variant: AudioVariant,
    chunks = runFfmpeg(source, audioCommand(variant, format, timing), logs.audio, signal),
  ) => audioChunks(chunks, variant, { format, timing, log: logs.audio })
  const openVideo = (
    track: VideoTrack,
    chunks = runFfmpeg(source, gridCommand(track, format, timing), logs.video, signal),
  ) => videoChunks(chunks, track, { ...options, log: logs.video })
  const firstAudio = variant && chunks.audio && openAudio(variant, chunks.audio)
  const firstVideo = video && chunks.video && openVideo(video, chunks.video)
  return {
    audio: firstAudio
      ? firstAudibleVariant(firstAudio, variants, { ...options, open: openAudio })
      : null,
    video: firstVideo
      ? firstVisibleTrack(firstVideo, [video, ...otherVideos], { ...options, open: openVideo })
      : null,
  }
}

/**
 * Returns the command of each stream that the header has. Decodes the first variant of the audio.
 */
export function streamCommands({
  header,
  format,
  window,
}: Pick<StreamRequest, 'header' | 'format' | 'window'>): Record<StreamKind, FfmpegCommand | null> {
  const timing = timingOf({ header, window })
  const [variant] = audioVariants(header.audioTracks, format)
  return {
    audio: variant ? audioCommand(variant, format, timing) : null,
    video: header.video && gridCommand(header.video, format, timing),
  }
}

function openChunks(
  request: StreamRequest,
): Record<StreamKind, AsyncGenerator<Buffer, void> | null> {
  const { source, header, window, logs, signal } = request
  const { audio, video } = streamCommands(request)
  const canShare = window.start === 0 && !isHuge(header.video) // audio and video seek differently
  if (audio && video && canShare) return decodeInOneProcess(source, { audio, video }, logs, signal)
  return {
    audio: audio && runFfmpeg(source, audio, logs.audio, signal),
    video: video && runFfmpeg(source, video, logs.video, signal),
  }
}

function timingOf({ header, window }: Pick<StreamRequest, 'header' | 'window'>): Timing {
  return { window, clock: header.clock }
}

const isHuge = (video: VideoTrack | null) =>
  (video?.width ?? 0) * (video?.height ?? 0) > MAX_SHARED_PIXELS
