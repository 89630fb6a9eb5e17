import type { SegmentFormat } from '../domain.js'
import { isAudible, type SoundOptions } from './audio.js'
import type { Track } from './probe.js'
import { Report } from './report.js'
import type { Source } from './source.js'

/** The first track that is not silent, listened to no further than its first sound; where all are, the first. */
export async function chooseTrack(
  source: Source,
  tracks: readonly Track[],
  format: SegmentFormat,
  options: Omit<SoundOptions, 'report'>,
): Promise<Track | null> {
  const [first = null, ...others] = tracks
  if (others.length === 0) return first
  for (const track of tracks) {
    if (await isAudible(source, track, format, { ...options, report: new Report(source) })) return track
  }
  return first
}
