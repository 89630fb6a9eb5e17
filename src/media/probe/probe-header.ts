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
import { HDR_TRANSFERS, type MediaHeader, type Track, type VideoTrack } from './media-header.js'
import { readWebpAnimation, type WebpAnimation } from './webp-animation.js'

/** Below it ffmpeg is guessing: noise is taken for mp3 with a score of 1 to 12. */
const LEAST_SCORE = 25
const LARGEST_ANIMATION_PIXELS = 4096 * 4096 // each frame of which is held in memory
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
const Answer = z.object({
  streams: z.array(Stream).default([]),
  format: z.object({
    format_name: z.string(),
    start_time: number,
    duration: number,
    probe_score: z.number().default(100),
  }),
})
type Stream = z.infer<typeof Stream>

const SHOW =
  'format=format_name,start_time,duration,probe_score:' +
  'stream=index,codec_type,codec_name,pix_fmt,width,height,channels,channel_layout,color_transfer,start_time,duration,nb_read_packets,nb_frames:' +
  'stream_disposition=attached_pic,timed_thumbnails,default:stream_tags=alpha_mode'

// Two packets tell a still from an animation.
const QUESTIONS = ['-count_packets', '-read_intervals', '%+#2', '-show_entries', SHOW]

/** Reads the header of a file. */
export async function probeHeader(source: StagedFile, signal?: AbortSignal): Promise<MediaHeader> {
  const { json, stderr } = await ffprobe(source, QUESTIONS, signal)
  const answer = Answer.safeParse(json)
  if (!answer.success) throw refusal(stderr, source)
  const { format, streams } = answer.data
  if (format.probe_score < LEAST_SCORE) throw notRecognised(source)

  const start = format.start_time ?? 0
  const asTrack = (stream: Stream): Track => {
    const startsAt = Math.max(0, (stream.start_time ?? start) - start)
    const restOfClip = format.duration === undefined ? null : format.duration - startsAt
    const { index, duration: seconds = restOfClip } = stream
    return { index, startsAt, seconds }
  }
  const isCover = ({ disposition }: Stream) =>
    disposition.attached_pic + disposition.timed_thumbnails > 0
  const ofType = (type: string) =>
    streams.filter((stream) => stream.codec_type === type).sort(defaultFirst)
  const pictures = ofType('video')
  const shown = pictures.filter((stream) => !isCover(stream))
  const [moving, ...others] = shown
  const cover = pictures.find((stream) => stream.disposition.attached_pic > 0)
  const sounds = ofType('audio')
  const spacing = hasTimestamps(format.format_name) ? 'any' : 'untimed'
  const animation = moving?.width === 0 ? await readWebpAnimation(source.path) : null
  if (animation) return animatedHeader(animation, source)
  return {
    format: format.format_name,
    seconds: format.duration ?? null,
    video: moving ? await toVideoTrack(moving, asTrack(moving)) : null,
    otherVideos: await Promise.all(others.map((stream) => toVideoTrack(stream, asTrack(stream)))),
    cover: cover ? await toVideoTrack(cover, asTrack(cover)) : null,
    audioTracks: sounds.map((stream) => ({
      ...asTrack(stream),
      channels: stream.channels ?? 1,
      hasLayout: hasLayout(stream),
      spacing,
    })),
    isStill: sounds.length === 0 && (format.format_name.endsWith('_pipe') || hasOnePicture(shown)),
    streams: streams.length,
    animation: null,
    clock: hasClockByStreamsRead(format.format_name) && moving ? steadyClock(start, streams) : null,
  }
}

/** A clock without jumps that begins at a timestamp. */
function steadyClock(start: number, streams: readonly Stream[]): Clock {
  const spans = new Map(
    streams.map(({ index }) => [index, { start: -FOREVER_SECONDS, end: FOREVER_SECONDS }]),
  )
  return { pieces: [{ shift: -start, spans }] }
}

const FOREVER_SECONDS = 1e9

/** The two packets may be one of each of two tracks: then the header is asked. */
function hasOnePicture([first, ...others]: readonly Stream[]): boolean {
  return first?.nb_read_packets === 1 && (others.length === 0 || first.nb_frames === 1)
}

/** What the header of an animated WebP claims, of which ffprobe says nothing. */
function animatedHeader(animation: WebpAnimation, { name }: StagedFile): MediaHeader {
  const { width, height, frames } = animation
  if (width * height > LARGEST_ANIMATION_PIXELS) {
    const detail = `Expected an animated WebP of at most ${LARGEST_ANIMATION_PIXELS} pixels, got ${width} × ${height}: ${name}`
    throw new AppError('MEDIA_FORMAT_REFUSED', detail)
  }
  const total = frames.reduce((sum, frame) => sum + frame.width * frame.height, 0)
  if (total > MEDIA_LIMITS.animationPixels) {
    const detail = `Expected an animation of at most ${MEDIA_LIMITS.animationPixels} pixels in all frames, got ${total}: ${name}`
    throw new AppError('MEDIA_TOO_LARGE', detail)
  }
  if (frames.length === 0)
    throw new AppError('MEDIA_DAMAGED', `${name} is an animated WebP without one whole frame`)
  const seconds = frames.reduce((sum, { ms }) => sum + ms, 0) / 1000
  const picture = {
    index: 0,
    startsAt: 0,
    seconds,
    width,
    height,
    hdr: null,
    canToneMap: false,
    keyGap: null,
    hasAlpha: true,
    decoder: null,
  }
  return {
    format: 'webp',
    seconds,
    video: picture,
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

/** Names of ffmpeg's pixel formats that hold opacity; a palette may. */
const ALPHA_FORMAT = /^(yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya)/

/** VP8 and VP9 keep their alpha in a second stream, which only libvpx decodes. */
async function alphaDecoder({ codec_name, tags }: Stream): Promise<string | null> {
  const decoder = LIBVPX[codec_name]
  if (tags.alpha_mode !== '1' || decoder === undefined) return null
  return (await ffmpegBuild()).hasLibvpx ? decoder : null
}

const LIBVPX: Readonly<Record<string, string>> = { vp8: 'libvpx', vp9: 'libvpx-vp9' }

const hasLayout = ({ channel_layout = 'unknown' }: Stream): boolean =>
  !/^unknown|^\d+ channels/.test(channel_layout)

const defaultFirst = (a: Stream, b: Stream): number => b.disposition.default - a.disposition.default

/** What the system says of a file, which is no word on its content: it has gone since it was sniffed, say. */
const NOT_READ =
  /: (No such file or directory|Permission denied|Stale file handle|Too many open files)$/

/** Why ffprobe knows nothing of a file, from what it said. */
function refusal(stderr: string, source: StagedFile): AppError {
  if (/detected only with low score/.test(stderr)) return notRecognised(source)
  const refused = /\[(\S+) @ [^\]]*\] Format not on whitelist/.exec(stderr)?.[1]
  if (refused !== undefined) {
    const detail = `${source.name} is of the format "${refused}", which is not among those that Earshot opens`
    return new AppError('MEDIA_FORMAT_REFUSED', detail)
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const words = lines.slice(-3).map((line) => sanitizeLine(line, source))
  if (lines.some((line) => NOT_READ.test(line))) {
    return new AppError(
      'FILE_UNREADABLE',
      `${source.name} cannot be read. ffmpeg says: ${words.join('; ')}`,
    )
  }
  if (source.isHeif && lines.some((line) => line.includes('moov atom not found'))) {
    return heifUnsupported(source.name, 'that the installed ffmpeg does not open')
  }
  // Only a demuxer that took the file for its own speaks under its name.
  if (!lines.some((line) => /^\[\S+ @ /.test(line))) return notRecognised(source)
  return new AppError(
    'MEDIA_DAMAGED',
    `${source.name} cannot be opened. ffmpeg says: ${words.join('; ')}`,
  )
}

function notRecognised({ name }: StagedFile): AppError {
  return new AppError(
    'MEDIA_NOT_RECOGNISED',
    `Expected video, sound or a picture, got a file of no known format: ${name}`,
  )
}
