import type { SegmentFormat } from '../../domain/segment-format.js'
import { isLarge } from '../probe/key-gap.js'
import type { VideoTrack } from '../probe/media-header.js'
import type { FfmpegCommand } from '../process/ffmpeg.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { type Background, decoderOptions, flatten } from './alpha.js'
import { LEAST_TAIL_SECONDS } from './audio.js'
import { CANDIDATES } from './frame.js'
import { toneMap } from './hdr.js'
import { canSeek, clockOptions, type Timing, videoClock, type Window } from './timing.js'

export const LARGEST_PICTURE_ALLOCATION = 768 * 1024 ** 2
const BEAT_SECONDS = 0.25
/** More than one costs a sixth more CPU time; two are enough, since more files than cores are decoded at once. */
const THREADS_OF_LARGE = 2
/** Key frames at most this far apart leave none of the tails without one; it is a second of NTSC and a little. */
const KEY_GAP_SECONDS = LEAST_TAIL_SECONDS + 0.02

/** The seconds of a cell of the grid that is laid over every segment. */
export interface Grid {
  readonly cell: number
  readonly rate: string // candidates a second, exactly
}

/** A clip shorter than a segment has its cells within its stated length. */
export function gridOf(
  stated: number | null,
  { seconds, visual: { framesPerSegment } }: SegmentFormat,
): Grid {
  const gridMs = Math.round(1000 * Math.max(0.04, Math.min(seconds, stated ?? seconds)))
  return {
    cell: gridMs / 1000 / framesPerSegment,
    rate: `${framesPerSegment * CANDIDATES * 1000}/${gridMs}`,
  }
}

/** What the header states of a window's length. */
export function statedSeconds(
  { seconds, startsAt }: VideoTrack,
  { start, end }: Window,
): number | null {
  if (seconds === null || seconds <= 0) return Number.isFinite(end) ? end - start : null
  return Math.max(0, Math.min(startsAt + seconds, end) - start)
}

/** The candidates of every cell, in order of time. */
export function gridCommand(
  track: VideoTrack,
  format: SegmentFormat,
  timing: Timing,
): FfmpegCommand {
  const { window } = timing
  const { cell, rate } = gridOf(statedSeconds(track, window), format)
  // Not the accurate seek: it would drop the frame on show at the start, which began before it.
  const seek = canSeek(timing) ? ['-noaccurate_seek', '-ss', ffmpegSeconds(window.start)] : []
  const isEnough = track.keyGap !== null && track.keyGap <= Math.min(cell, KEY_GAP_SECONDS)
  const skip = isEnough ? ['-skip_frame:v', 'nokey'] : []
  // The decoder says where it is: a proof of life where frames are rare, and the length where the header lies.
  const beat = `select='1+0*if(eq(n,0)+gte(t,ld(0)),print(t,16)+st(0,t+${BEAT_SECONDS}))'`
  const clock = videoClock(timing, track.index)
  const chain = `${clock ? `${clock},` : ''}${beat},fps=${rate}:start_time=0:eof_action=pass,${filters(track, format)}`
  const threads = isLarge(track) ? THREADS_OF_LARGE : 1
  return {
    ...videoCommand(track, [...clockOptions(timing), ...seek, ...skip], ['-vf', chain]),
    threads,
    printsPosition: true,
  }
}

/** The first frame that can be decoded. */
export function firstFrameCommand(
  track: VideoTrack,
  format: SegmentFormat,
  background?: Background,
): FfmpegCommand {
  return videoCommand(track, [], ['-vf', filters(track, format, background), '-frames:v', '1'])
}

function videoCommand(
  track: VideoTrack,
  input: readonly string[],
  output: readonly string[],
): FfmpegCommand {
  return {
    // A change of size midway must not restart the filters, whose clock would begin again.
    input: ['-reinit_filter:v', '0', ...decoderOptions(track), ...input],
    output: [
      '-map',
      `0:${track.index}`,
      ...output,
      '-c:v',
      'rawvideo',
      '-pix_fmt',
      'rgb24',
      '-f',
      'rawvideo',
    ],
    maxAllocationBytes: LARGEST_PICTURE_ALLOCATION,
  }
}

/** Shapes on show, width by height, that lose nothing. */
const TRIMMED = { tallest: 3 / 4, widest: 4 / 3 }

/** To the model's size, then to the colours of an ordinary screen: the fewer pixels, the cheaper. */
function filters(
  track: VideoTrack,
  { visual: { width, height, resize } }: SegmentFormat,
  background?: Background,
): string {
  const flat = flatten(track, background)
  const flags = 'flags=bilinear+accurate_rnd+full_chroma_int'
  if (resize === 'squash')
    return `${flat}scale=${width}:${height}:${flags},setsar=1${toneMap(track)}`
  const { tallest, widest } =
    resize === 'trim' ? TRIMMED : { tallest: width / height, widest: width / height }
  // Cut after scaling: a picture that changes its size midway is scaled anew, and would be cut by its first size.
  const size = `w='max(${width},round(${width}*dar/${widest}))':h='max(${height},round(${height}*${tallest}/dar))'`
  return `${flat}scale=${size}:${flags},crop=${width}:${height},setsar=1${toneMap(track)}`
}
