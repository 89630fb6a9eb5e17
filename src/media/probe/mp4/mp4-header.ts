import type { OpenedFile } from '../../../storage/opened-file.js'
import {
  type AudioTrack,
  defaultFirst,
  type MediaHeader,
  type Track,
  type VideoTrack,
} from '../media-header.js'
import { boxesIn, readMovie } from './boxes.js'
import { type Mp4Audio, type Mp4Track, type Mp4Video, parseTimes, parseTrack } from './track.js'

/**
 * Items that ffmpeg turns into a track or a clock shift: cover art, and iTunes' record of padding.
 */
const UNSUPPORTED_ITEMS = ['covr', 'artwork', 'iTunSMPB']
const FORMAT = 'mov,mp4,m4a,3gp,3g2,mj2'

/**
 * Reads the header of a plain MP4 with H.264 and AAC, the most common video. Returns what ffprobe
 * would, and whether the audio has gaps. Starts no process, which costs as much as decoding a short
 * clip. Returns null for any other, unusual or invalid file: ffprobe then decides.
 */
export async function mp4Header(file: OpenedFile): Promise<MediaHeader | null> {
  try {
    return await parseHeader(file)
  } catch {
    return null
  }
}

async function parseHeader(file: OpenedFile): Promise<MediaHeader | null> {
  const movie = await readMovie(file)
  if (!movie || UNSUPPORTED_ITEMS.some((name) => movie.includes(name))) return null
  const boxes = boxesIn(movie)
  const mvhd = boxes.find(({ type }) => type === 'mvhd')
  if (!mvhd || boxes.some(({ type }) => type === 'mvex')) return null
  const { timescale, duration } = parseTimes(mvhd.body)
  const tracks = boxes
    .filter(({ type }) => type === 'trak')
    .map((box) => parseTrack(box, timescale))
  return tracks.every((track) => track !== null) ? toHeader(tracks, duration / timescale) : null
}

function toHeader(tracks: readonly Mp4Track[], clipSeconds: number): MediaHeader | null {
  const start = Math.min(...tracks.map(({ startsAt }) => startsAt))
  const placed = defaultFirst(
    tracks.map((track, index) => ({ ...track, index, startsAt: track.startsAt - start })),
    ({ isDefault }) => isDefault,
  )
  const videos = placed.filter((track) => track.type === 'vide')
  const audios = placed.filter((track) => track.type === 'soun')
  const [video, another] = videos
  if (another || (!video && audios.length === 0)) return null
  return {
    format: FORMAT,
    seconds: clipSeconds,
    video: video ? toVideoTrack(video) : null,
    otherVideos: [],
    cover: null,
    audioTracks: audios.map(toAudioTrack),
    isStill: audios.length === 0 && video?.samples === 1,
    streams: tracks.length,
    animation: null,
    clock: null,
  }
}

const toVideoTrack = ({
  index,
  startsAt,
  seconds,
  width,
  height,
}: Mp4Video & Track): VideoTrack => ({
  ...{ index, startsAt, seconds, width, height },
  ...{ hdr: null, canToneMap: false, keyGap: null, hasAlpha: false, decoder: null },
})

const toAudioTrack = ({
  index,
  startsAt,
  seconds,
  channels,
  isEven,
}: Mp4Audio & Track): AudioTrack => {
  return { index, startsAt, seconds, channels, hasLayout: true, spacing: isEven ? 'even' : 'any' }
}
