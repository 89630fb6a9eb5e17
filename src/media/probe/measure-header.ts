import { hasJumpingClock } from '../process/formats.js'
import type { StagedFile } from '../staging/staged-file.js'
import { type Clock, stretchesOf } from './clock.js'
import type { MediaHeader, Track } from './media-header.js'
import { probeHeader } from './probe-header.js'
import { type ClockReading, readClock } from './read-clock.js'

/** ffmpeg holds in memory what it reads ahead to find streams. */
const MOST_AHEAD_BYTES = 64 * 1024 ** 2
const PAST_FIRST_PACKET_BYTES = 1024 ** 2

export interface MeasuredFile {
  readonly source: StagedFile
  readonly header: MediaHeader
}

/**
 * Replaces what the header of a transport or program stream claims by what its packets say: which streams have any,
 * where they begin and end, and how the clock jumps. ffprobe itself looks only a few seconds ahead.
 */
export async function measureHeader(
  source: StagedFile,
  header: MediaHeader,
  signal?: AbortSignal,
): Promise<MeasuredFile> {
  if (!hasJumpingClock(header.format) || header.isStill) return { source, header }
  const reading = await readClock(source, signal)
  if (reading.clock.pieces.length === 0) return { source, header }
  const wider = withLateStreams(source, header, reading)
  const known = wider === source ? header : await probeHeader(wider, signal)
  return { source: wider, header: withClock(known, reading.clock) }
}

/** Makes ffmpeg look ahead as far as the first packets of streams that it has not found. */
function withLateStreams(
  source: StagedFile,
  { streams }: MediaHeader,
  { firstPositions }: ClockReading,
): StagedFile {
  const late = [...firstPositions].filter(
    ([stream, position]) => stream >= streams && position <= MOST_AHEAD_BYTES,
  )
  if (late.length === 0) return source
  const bytes = Math.max(...late.map(([, position]) => position)) + PAST_FIRST_PACKET_BYTES
  return {
    ...source,
    options: [...(source.options ?? []), '-probesize', String(bytes), '-analyzeduration', '24h'],
  }
}

function withClock(header: MediaHeader, clock: Clock): MediaHeader {
  const measured = <T extends Track>(track: T): T[] => {
    const stretches = stretchesOf(clock, track.index)
    if (stretches.length === 0) return []
    const startsAt = Math.min(...stretches.map(({ start, shift }) => start + shift))
    const endsAt = Math.max(...stretches.map(({ end, shift }) => end + shift))
    return [{ ...track, startsAt, seconds: endsAt - startsAt }]
  }
  const ends = clock.pieces.flatMap(({ spans, shift }) =>
    [...spans.values()].map(({ end }) => end + shift),
  )
  const pictures = header.video === null ? [] : [header.video, ...header.otherVideos]
  const [picture = null, ...otherPictures] = pictures.flatMap(measured)
  return {
    ...{ ...header, clock, video: picture, otherVideos: otherPictures },
    seconds: Math.max(...ends),
    audioTracks: header.audioTracks.flatMap(measured),
  }
}
