import { z } from 'zod'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { ffprobe } from '../process/ffprobe.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { VideoTrack } from './media-header.js'

const SAMPLE_SECONDS = 4
const MIN_GAPS = 3
const FRAME_SECONDS = 0.05 // at 20 frames a second
/**
 * ffmpeg decodes a smaller video in less time than another process takes: ten seconds of 1280 ×
 * 720.
 */
const LARGE_PIXEL_SECONDS = 1280 * 720 * 10

const Output = z.object({
  packets: z.array(
    z
      .object({ pts_time: z.coerce.number(), flags: z.string() })
      .catch({ pts_time: NaN, flags: '' }),
  ),
})
type Packet = z.infer<typeof Output>['packets'][number]

/**
 * Returns the seconds between key frames if they are regular. Samples the packets at the beginning
 * and in the middle. Returns null if key frames are irregular, or if the video is too short or too
 * small to matter.
 */
export async function keyGap(
  source: StagedFile,
  track: VideoTrack,
  signal?: AbortSignal,
): Promise<number | null> {
  const { index, startsAt, seconds } = track
  if (seconds === null || !isLarge(track)) return null
  let max = 0
  for (const from of [startsAt, startsAt + seconds / 2]) {
    const gap = regularGap(await packetsFrom(from, index, source, signal))
    if (gap === null) return null
    max = Math.max(max, gap)
  }
  return max
}

/** Returns whether decoding a track takes long enough to justify another process or thread. */
export function isLarge({ width, height, seconds }: VideoTrack): boolean {
  return seconds === null || width * height * seconds >= LARGE_PIXEL_SECONDS
}

/** Returns no packets if ffprobe fails or stalls, since ffmpeg can then decode every frame. */
async function packetsFrom(
  from: number,
  stream: number,
  source: StagedFile,
  signal?: AbortSignal,
): Promise<readonly Packet[]> {
  const span = `${ffmpegSeconds(from)}%+${SAMPLE_SECONDS}`
  const interval = ['-select_streams', String(stream), '-read_intervals', span]
  try {
    const { json } = await ffprobe(
      source,
      [...interval, '-show_entries', 'packet=pts_time,flags'],
      signal,
    )
    return Output.parse(json).packets
  } catch {
    signal?.throwIfAborted()
    return []
  }
}

/**
 * Returns the longest gap if at least half of the gaps are as long. Such an encoder counts frames,
 * and adds key frames only at cuts.
 */
function regularGap(packets: readonly Packet[]): number | null {
  const timed = packets.filter(({ pts_time }) => Number.isFinite(pts_time))
  const keys = timed.filter(({ flags }) => flags.startsWith('K')).map(({ pts_time }) => pts_time)
  const gaps = keys.slice(1).map((key, i) => key - (keys[i] as number))
  const max = Math.max(...gaps)
  const untilEnd = Math.max(...timed.map(({ pts_time }) => pts_time)) - (keys.at(-1) ?? 0)
  const maxCount = gaps.filter((gap) => gap >= max - FRAME_SECONDS).length
  const isRegular =
    gaps.length >= MIN_GAPS && 2 * maxCount >= gaps.length && untilEnd <= max + FRAME_SECONDS
  return isRegular ? max : null
}
