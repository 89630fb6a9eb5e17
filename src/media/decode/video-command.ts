import type { SegmentFormat } from '../../domain/segment-format.js'
import { isLarge } from '../probe/key-gap.js'
import type { VideoTrack } from '../probe/media-header.js'
import type { FfmpegCommand } from '../process/ffmpeg.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { type Background, decoderOptions, flatten } from './alpha.js'
import { MIN_TAIL_SECONDS } from './audio.js'
import { CANDIDATES } from './frame.js'
import { toneMap } from './hdr.js'
import { canSeek, clockOptions, type Timing, videoClock, type Window } from './timing.js'

/** Limit of one block of memory in an ffmpeg that decodes video. */
export const MAX_VIDEO_ALLOCATION_BYTES = 768 * 1024 ** 2
const POSITION_SECONDS = 0.25 // between the positions that ffmpeg prints
/**
 * A second thread costs a sixth more CPU time. Two suffice: more files than cores are decoded at
 * once.
 */
const LARGE_VIDEO_THREADS = 2
/** The maximum gap at which every tail has a key frame: a second of NTSC plus a margin. */
const MAX_KEY_GAP_SECONDS = MIN_TAIL_SECONDS + 0.02
/** Display aspect ratios that `trim` leaves whole. */
const TRIMMED = { tallest: 3 / 4, widest: 4 / 3 }

/** The grid of cells over a segment. */
interface Grid {
  readonly cell: number // seconds
  readonly rate: string // candidates per second, as a fraction
}

/**
 * Returns the grid of a segment. The cells of a clip shorter than a segment divide its stated
 * length.
 */
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

/** Returns the length of the window's part of a track by the header, or null if unknown. */
export function statedSeconds(
  { seconds, startsAt }: VideoTrack,
  { start, end }: Window,
): number | null {
  if (seconds === null || seconds <= 0) return Number.isFinite(end) ? end - start : null
  return Math.max(0, Math.min(startsAt + seconds, end) - start)
}

/**
 * Returns the command that decodes the candidates of every cell, in order of time. ffmpeg also
 * prints its position.
 */
export function gridCommand(
  track: VideoTrack,
  format: SegmentFormat,
  timing: Timing,
): FfmpegCommand {
  const { window } = timing
  const { cell, rate } = gridOf(statedSeconds(track, window), format)
  // An accurate seek would drop the frame shown at the start of the window, which begins before it.
  const seek = canSeek(timing) ? ['-noaccurate_seek', '-ss', ffmpegSeconds(window.start)] : []
  const canSkip = track.keyGap !== null && track.keyGap <= Math.min(cell, MAX_KEY_GAP_SECONDS)
  const skip = canSkip ? ['-skip_frame:v', 'nokey'] : []
  // The position shows progress if frames are rare, and the length if the header is wrong.
  const print = `if(eq(n,0)+gte(t,ld(0)),print(t,16)+st(0,t+${POSITION_SECONDS}))`
  const position = `select='1+0*${print}'`
  const clock = videoClock(timing, track.index)
  const chain = [
    ...(clock ? [clock] : []),
    position,
    `fps=${rate}:start_time=0:eof_action=pass`,
    filters(track, format),
  ].join(',')
  const threads = isLarge(track) ? LARGE_VIDEO_THREADS : 1
  return {
    ...videoCommand(track, [...clockOptions(timing), ...seek, ...skip], ['-vf', chain]),
    threads,
    printsPosition: true,
  }
}

/** Returns the command that decodes the first frame that can be decoded. */
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
    // A change of size midway must not reinitialise the filters, since that restarts their clock.
    input: ['-reinit_filter:v', '0', ...decoderOptions(track), ...input],
    output: [
      ...['-map', `0:${track.index}`, ...output],
      ...['-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'rawvideo'],
    ],
    maxAllocationBytes: MAX_VIDEO_ALLOCATION_BYTES,
  }
}

/**
 * Returns filters that scale and crop to the model's size, then tone-map: fewer pixels cost less.
 */
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
  // Crop after scaling: a change of size midway updates the scaler, but not the crop.
  const size =
    `w='max(${width},round(${width}*dar/${widest}))':` +
    `h='max(${height},round(${height}*${tallest}/dar))'`
  return `${flat}scale=${size}:${flags},crop=${width}:${height},setsar=1${toneMap(track)}`
}
