import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { LIMITS } from '../config.js'
import { AppError } from '../errors.js'
import { findFfprobe } from './executables.js'
import { INPUT_GUARDS } from './formats.js'
import { readable } from './report.js'
import type { Source } from './source.js'

/** Below it ffmpeg is guessing: noise is taken for mp3 with a score of 1 to 12. */
const LEAST_SCORE = 25

export interface Track {
  readonly index: number
  readonly startsAt: number // seconds after the start of the clip
  readonly seconds: number | null // the header's claim
}

export interface PictureTrack extends Track {
  readonly width: number // 0 where the header does not say
  readonly height: number
}

/** What the header of a file claims. */
export interface Probe {
  readonly format: string
  readonly seconds: number | null
  readonly picture: PictureTrack | null
  readonly cover: PictureTrack | null
  readonly sounds: readonly Track[] // the default ones first
  readonly isStill: boolean // one picture and nothing else
}

const number = z.coerce.number().optional().catch(undefined)
const flag = z.number().default(0)
const Stream = z.object({
  index: z.number(),
  codec_type: z.string().default('unknown'),
  width: number,
  height: number,
  start_time: number,
  duration: number,
  nb_read_packets: number,
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
  'stream=index,codec_type,width,height,start_time,duration,nb_read_packets:' +
  'stream_disposition=attached_pic,timed_thumbnails,default'

/** Asks ffprobe. Not fluent-ffmpeg's: that one has neither a deadline nor a handle to kill the process by. */
export async function probe(source: Source, signal?: AbortSignal): Promise<Probe> {
  const { stdout, stderr } = await ffprobe(source, signal)
  const answer = Answer.safeParse(parseJson(stdout))
  if (!answer.success) throw refusal(stderr, source)
  const { format, streams } = answer.data
  if (format.probe_score < LEAST_SCORE) throw notRecognised(source)

  const start = format.start_time ?? 0
  const asTrack = (stream: Stream): PictureTrack => {
    const startsAt = Math.max(0, (stream.start_time ?? start) - start)
    const restOfClip = format.duration === undefined ? null : format.duration - startsAt
    const { index, width = 0, height = 0, duration: seconds = restOfClip } = stream
    return { index, startsAt, seconds, width, height }
  }
  const isCover = ({ disposition }: Stream) => disposition.attached_pic + disposition.timed_thumbnails > 0
  const ofType = (type: string) => streams.filter((stream) => stream.codec_type === type).sort(defaultFirst)
  const pictures = ofType('video')
  const moving = pictures.find((stream) => !isCover(stream))
  const cover = pictures.find((stream) => stream.disposition.attached_pic > 0)
  const sounds = ofType('audio')
  return {
    format: format.format_name,
    seconds: format.duration ?? null,
    picture: moving ? asTrack(moving) : null,
    cover: cover ? asTrack(cover) : null,
    sounds: sounds.map(asTrack),
    isStill: sounds.length === 0 && (format.format_name.endsWith('_pipe') || moving?.nb_read_packets === 1),
  }
}

const defaultFirst = (a: Stream, b: Stream): number => b.disposition.default - a.disposition.default

async function ffprobe({ url }: Source, signal?: AbortSignal): Promise<{ stdout: string; stderr: string }> {
  // Two packets tell a still from an animation.
  const args = ['-v', 'warning', ...INPUT_GUARDS, '-count_packets', '-read_intervals', '%+#2']
  args.push('-print_format', 'json', '-show_entries', SHOW, '-i', url)
  const limits = { timeout: LIMITS.probeMs, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 ** 2 } as const
  const program = await findFfprobe()
  try {
    return await promisify(execFile)(program, args, { ...limits, ...(signal && { signal }) })
  } catch (cause) {
    signal?.throwIfAborted()
    const { killed, stdout, stderr } = Failure.parse(cause)
    if (!killed) return { stdout, stderr }
    const detail = `Expected ffprobe to answer within ${LIMITS.probeMs / 1000} s: it was stopped`
    throw new AppError('MEDIA_STALLED', detail, { cause })
  }
}

const Failure = z.object({
  killed: z.boolean().catch(false),
  stdout: z.string().catch(''),
  stderr: z.string().catch(''),
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Why ffprobe knows nothing of a file, from what it said. */
function refusal(stderr: string, source: Source): AppError {
  if (/detected only with low score/.test(stderr)) return notRecognised(source)
  const refused = /\[(\S+) @ [^\]]*\] Format not on whitelist/.exec(stderr)?.[1]
  if (refused !== undefined) {
    const detail = `${source.name} is of the format "${refused}", which is not among those that Earshot opens`
    return new AppError('MEDIA_FORMAT_REFUSED', detail)
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  // Only a demuxer that took the file for its own speaks under its name.
  if (!lines.some((line) => /^\[\S+ @ /.test(line))) return notRecognised(source)
  const words = lines.slice(-3).map((line) => readable(line, source))
  return new AppError('MEDIA_DAMAGED', `${source.name} cannot be opened. ffmpeg says: ${words.join('; ')}`)
}

function notRecognised({ name }: Source): AppError {
  return new AppError(
    'MEDIA_NOT_RECOGNISED',
    `Expected video, sound or a picture, got a file of no known format: ${name}`,
  )
}
