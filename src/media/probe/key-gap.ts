import { z } from 'zod'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { ffprobe } from '../process/ffprobe.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { VideoTrack } from './media-header.js'

const LOOK_SECONDS = 4
const LEAST_GAPS = 3
const A_FRAME = 0.05 // seconds, at 20 a second
/** What is smaller is decoded whole in less time than another process takes: ten seconds of 1280 × 720. */
const LARGE_PIXEL_SECONDS = 1280 * 720 * 10

const Answer = z.object({
  packets: z.array(
    z
      .object({ pts_time: z.coerce.number(), flags: z.string() })
      .catch({ pts_time: NaN, flags: '' }),
  ),
})
type Packet = z.infer<typeof Answer>['packets'][number]

/**
 * Seconds from key frame to key frame, where they come as a clock: looked for at the beginning and in the middle. Null
 * where they do not, and where the picture is too short or too small for it to matter.
 */
export async function keyGap(
  source: StagedFile,
  track: VideoTrack,
  signal?: AbortSignal,
): Promise<number | null> {
  const { index, startsAt, seconds } = track
  if (seconds === null || !isLarge(track)) return null
  let longest = 0
  for (const from of [startsAt, startsAt + seconds / 2]) {
    const gap = steadyGap(await packetsFrom(from, index, source, signal))
    if (gap === null) return null
    longest = Math.max(longest, gap)
  }
  return longest
}

/** Whether decoding it is worth effort: a further process, or a further thread. */
export function isLarge({ width, height, seconds }: VideoTrack): boolean {
  return seconds === null || width * height * seconds >= LARGE_PIXEL_SECONDS
}

/** None where ffprobe has no answer, or not in time: every frame can be decoded all the same. */
async function packetsFrom(
  from: number,
  stream: number,
  source: StagedFile,
  signal?: AbortSignal,
): Promise<readonly Packet[]> {
  const span = `${ffmpegSeconds(from)}%+${LOOK_SECONDS}`
  const interval = ['-select_streams', String(stream), '-read_intervals', span]
  try {
    const { json } = await ffprobe(
      source,
      [...interval, '-show_entries', 'packet=pts_time,flags'],
      signal,
    )
    return Answer.parse(json).packets
  } catch {
    signal?.throwIfAborted()
    return []
  }
}

/** The longest gap, where half of them are as long: an encoder that counts, and adds key frames at cuts at the most. */
function steadyGap(packets: readonly Packet[]): number | null {
  const times = packets.filter(({ pts_time }) => Number.isFinite(pts_time))
  const keys = times.filter(({ flags }) => flags.startsWith('K')).map(({ pts_time }) => pts_time)
  const gaps = keys.slice(1).map((key, i) => key - (keys[i] as number))
  const longest = Math.max(...gaps)
  const toTheEnd = Math.max(...times.map(({ pts_time }) => pts_time)) - (keys.at(-1) ?? 0)
  const asLong = gaps.filter((gap) => gap >= longest - A_FRAME).length
  const isSteady =
    gaps.length >= LEAST_GAPS && 2 * asLong >= gaps.length && toTheEnd <= longest + A_FRAME
  return isSteady ? longest : null
}
