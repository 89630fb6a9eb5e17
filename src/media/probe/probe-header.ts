import { z } from 'zod'
import { AppError } from '../../errors.js'
import { sanitizeLine } from '../process/decoder-log.js'
import { ffmpegBuild } from '../process/ffmpeg-build.js'
import { ffprobe } from '../process/ffprobe.js'
import { hasClockByStreamsRead, hasTimestamps } from '../process/formats.js'
import { heifUnsupported } from '../staging/heif.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { Clock } from './clock.js'
import {
  defaultFirst,
  HDR_TRANSFERS,
  type MediaHeader,
  type Track,
  type VideoTrack,
} from './media-header.js'
import { readWebpAnimation, type WebpAnimation } from './webp-animation.js'

/** Below this score ffmpeg is guessing: it reads noise as mp3 with a score of 1 to 12. */
const MIN_PROBE_SCORE = 25
const MAX_CANVAS_PIXELS = 4096 * 4096 // of an animation, each frame of which is held in memory
const number = z.coerce.number().optional().catch(undefined)
const flag = z.number().default(0)
const Stream = z.object({
  index: z.number(),
  codec_type: z.string().default('unknown'),
  width: number,
  height: number,
  channels: number,
  channel_layout: z.string().optional(),
  pix_fmt: z.string().default(''),
  codec_name: z.string().default(''),
  tags: z.object({ alpha_mode: z.string().optional() }).prefault({}),
  color_transfer: z.string().optional(),
  start_time: number,
  duration: number,
  nb_read_packets: number,
  nb_frames: number,
  disposition: z.object({ attached_pic: flag, timed_thumbnails: flag, default: flag }).prefault({}),
})
const Output = z.object({
  streams: z.array(Stream).default([]),
  format: z.object({
    format_name: z.string(),
    start_time: number,
    duration: number,
    probe_score: z.number().default(100),
  }),
})
type Stream = z.infer<typeof Stream>

const STREAM_ENTRIES = [
  'index',
  'codec_type',
  'codec_name',
  'pix_fmt',
  'width',
  'height',
  'channels',
  'channel_layout',
  'color_transfer',
  'start_time',
  'duration',
  'nb_read_packets',
  'nb_frames',
].join(',')
const ENTRIES =
  `format=format_name,start_time,duration,probe_score:stream=${STREAM_ENTRIES}:` +
  'stream_disposition=attached_pic,timed_thumbnails,default:stream_tags=alpha_mode'

// Two packets distinguish an image from an animation.
const ARGUMENTS = ['-count_packets', '-read_intervals', '%+#2', '-show_entries', ENTRIES]

/** The decoders that read the alpha of VP8 and VP9, by codec. */
const LIBVPX: Readonly<Record<string, string>> = { vp8: 'libvpx', vp9: 'libvpx-vp9' }

/** Names of ffmpeg's pixel formats with alpha. A palette may have transparent colours. */
const ALPHA_FORMAT = /^(yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya)/

/**
 * Errors of the system, which say nothing about the content: the file was removed after sniffing,
 * say.
 */
const NOT_READ =
  /: (No such file or directory|Permission denied|Stale file handle|Too many open files)$/

/**
 * Reads the header of a file by ffprobe. Throws MEDIA_NOT_RECOGNISED, MEDIA_FORMAT_REFUSED,
 * MEDIA_DAMAGED, MEDIA_TOO_LARGE, MEDIA_HEIF_UNSUPPORTED or FILE_UNREADABLE.
 */
export async function probeHeader(source: StagedFile, signal?: AbortSignal): Promise<MediaHeader> {
  const { json, stderr } = await ffprobe(source, ARGUMENTS, signal)
  const output = Output.safeParse(json)
  if (!output.success) throw probeError(stderr, source)
  const { format, streams } = output.data
  if (format.probe_score < MIN_PROBE_SCORE) throw notRecognised(source)

  const start = format.start_time ?? 0
  const toTrack = (stream: Stream): Track => {
    const startsAt = Math.max(0, (stream.start_time ?? start) - start)
    const restOfClip = format.duration === undefined ? null : format.duration - startsAt
    const { index, duration: seconds = restOfClip } = stream
    return { index, startsAt, seconds }
  }
  const isCover = ({ disposition }: Stream) =>
    disposition.attached_pic + disposition.timed_thumbnails > 0
  const ofType = (type: string) =>
    defaultFirst(
      streams.filter((stream) => stream.codec_type === type),
      ({ disposition }) => disposition.default > 0,
    )
  const allVideos = ofType('video')
  const videos = allVideos.filter((stream) => !isCover(stream))
  const [video, ...otherVideos] = videos
  const cover = allVideos.find((stream) => stream.disposition.attached_pic > 0)
  const audios = ofType('audio')
  const spacing = hasTimestamps(format.format_name) ? 'any' : 'untimed'
  const animation = video?.width === 0 ? await readWebpAnimation(source.path) : null
  if (animation) return animationHeader(animation, source)
  return {
    format: format.format_name,
    seconds: format.duration ?? null,
    video: video ? await toVideoTrack(video, toTrack(video)) : null,
    otherVideos: await Promise.all(
      otherVideos.map((stream) => toVideoTrack(stream, toTrack(stream))),
    ),
    cover: cover ? await toVideoTrack(cover, toTrack(cover)) : null,
    audioTracks: audios.map((stream) => ({
      ...toTrack(stream),
      channels: stream.channels ?? 1,
      hasLayout: hasLayout(stream),
      spacing,
    })),
    isStill: audios.length === 0 && (format.format_name.endsWith('_pipe') || hasOneFrame(videos)),
    streams: streams.length,
    animation: null,
    clock: hasClockByStreamsRead(format.format_name) && video ? steadyClock(start, streams) : null,
  }
}

/** Returns a clock without jumps that begins at a timestamp. */
function steadyClock(start: number, streams: readonly Stream[]): Clock {
  const spans = new Map(
    streams.map(({ index }) => [index, { start: -FOREVER_SECONDS, end: FOREVER_SECONDS }]),
  )
  return { pieces: [{ shift: -start, spans }] }
}

const FOREVER_SECONDS = 1e9

/**
 * Returns whether the video is one frame. With several tracks the two packets may be one of each,
 * so the header must state one frame.
 */
function hasOneFrame([first, ...others]: readonly Stream[]): boolean {
  return first?.nb_read_packets === 1 && (others.length === 0 || first.nb_frames === 1)
}

/** Returns the header of an animated WebP, which ffprobe does not report. */
function animationHeader(animation: WebpAnimation, { name }: StagedFile): MediaHeader {
  const { width, height, frames } = animation
  if (width * height > MAX_CANVAS_PIXELS) {
    const detail =
      `Expected an animated WebP of at most ${MAX_CANVAS_PIXELS} pixels, ` +
      `got ${width} × ${height}: ${name}`
    throw new AppError('MEDIA_FORMAT_REFUSED', detail)
  }
  const total = frames.reduce((sum, frame) => sum + frame.width * frame.height, 0)
  if (total > MEDIA_LIMITS.animationPixels) {
    const detail =
      `Expected an animation of at most ${MEDIA_LIMITS.animationPixels} pixels in all frames, ` +
      `got ${total}: ${name}`
    throw new AppError('MEDIA_TOO_LARGE', detail)
  }
  if (frames.length === 0) {
    const detail = `Expected an animated WebP with a complete frame, got none: ${name}`
    throw new AppError('MEDIA_DAMAGED', detail)
  }
  const seconds = frames.reduce((sum, { ms }) => sum + ms, 0) / 1000
  return {
    format: 'webp',
    seconds,
    video: {
      ...{ index: 0, startsAt: 0, seconds, width, height },
      ...{ hdr: null, canToneMap: false, keyGap: null, hasAlpha: true, decoder: null },
    },
    otherVideos: [],
    cover: null,
    audioTracks: [],
    isStill: frames.length === 1,
    streams: 1,
    animation,
    clock: null,
  }
}

async function toVideoTrack(stream: Stream, track: Track): Promise<VideoTrack> {
  const { width = 0, height = 0, color_transfer } = stream
  const hdr = HDR_TRANSFERS.find((transfer) => transfer === color_transfer) ?? null
  const canToneMap = hdr !== null && (await ffmpegBuild()).hasZimg
  const decoder = await alphaDecoder(stream)
  const hasAlpha = decoder !== null || ALPHA_FORMAT.test(stream.pix_fmt)
  return { ...track, width, height, hdr, canToneMap, keyGap: null, hasAlpha, decoder }
}

/** Returns the decoder for the alpha of VP8 and VP9: only libvpx decodes its separate stream. */
async function alphaDecoder({ codec_name, tags }: Stream): Promise<string | null> {
  const decoder = LIBVPX[codec_name]
  if (tags.alpha_mode !== '1' || decoder === undefined) return null
  return (await ffmpegBuild()).hasLibvpx ? decoder : null
}

const hasLayout = ({ channel_layout = 'unknown' }: Stream): boolean =>
  !/^unknown|^\d+ channels/.test(channel_layout)

/** Creates the error for a file that ffprobe cannot open, by the messages of ffprobe. */
function probeError(stderr: string, source: StagedFile): AppError {
  if (/detected only with low score/.test(stderr)) return notRecognised(source)
  const refused = /\[(\S+) @ [^\]]*\] Format not on whitelist/.exec(stderr)?.[1]
  if (refused !== undefined) {
    const detail = `Expected a format that Earshot opens, got "${refused}": ${source.name}`
    return new AppError('MEDIA_FORMAT_REFUSED', detail)
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const lastErrors = lines.slice(-3).map((line) => sanitizeLine(line, source))
  const cause = `ffmpeg says: ${lastErrors.join('; ')}`
  if (lines.some((line) => NOT_READ.test(line)))
    return new AppError('FILE_UNREADABLE', `${source.name} cannot be read. ${cause}`)
  if (source.isHeif && lines.some((line) => line.includes('moov atom not found')))
    return heifUnsupported(source.name, 'that the installed ffmpeg does not open')
  // A demuxer prints its name only after it has recognised the file.
  if (!lines.some((line) => /^\[\S+ @ /.test(line))) return notRecognised(source)
  return new AppError('MEDIA_DAMAGED', `${source.name} cannot be opened. ${cause}`)
}

function notRecognised({ name }: StagedFile): AppError {
  const detail = `Expected video, audio or an image, got a file of no known format: ${name}`
  return new AppError('MEDIA_NOT_RECOGNISED', detail)
}
