import { hasJumpingClock } from '../process/formats.js'
import type { StagedFile } from '../staging/staged-file.js'
import { type Clock, stretchesOf } from './clock.js'
import type { MediaHeader, Track } from './media-header.js'
import { probeHeader } from './probe-header.js'
import { type ClockReading, readClock } from './read-clock.js'

/** ffmpeg holds in memory what it reads ahead to find streams. */
const MAX_AHEAD_BYTES = 64 * 1024 ** 2
const PAST_FIRST_PACKET_BYTES = 1024 ** 2

/** A staged file, with the options that find all of its streams, and its measured header. */
interface MeasuredFile {
  readonly source: StagedFile
  readonly header: MediaHeader
}

/**
 * Measures the header of a transport or program stream by its packets: which streams have packets,
 * when they begin and end, and how the clock jumps. ffprobe itself reads only a few seconds ahead.
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
  const probed = wider === source ? header : await probeHeader(wider, signal)
  return { source: wider, header: withClock(probed, reading.clock) }
}

/** Makes ffmpeg read ahead up to the first packets of streams that it has not found. */
function withLateStreams(
  source: StagedFile,
  { streams }: MediaHeader,
  { firstPositions }: ClockReading,
): StagedFile {
  const late = [...firstPositions].filter(
    ([stream, position]) => stream >= streams && position <= MAX_AHEAD_BYTES,
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
  const videos = header.video === null ? [] : [header.video, ...header.otherVideos]
  const [video = null, ...otherVideos] = videos.flatMap(measured)
  return {
    ...{ ...header, clock, video, otherVideos },
    seconds: Math.max(...ends),
    audioTracks: header.audioTracks.flatMap(measured),
  }
}
