import type { OpenedFile } from '../../../storage/opened-file.js'
import type { AudioTrack, MediaHeader, Track, VideoTrack } from '../media-header.js'
import { boxesIn, readMovie } from './boxes.js'
import { clock, type Mp4Audio, type Mp4Track, type Mp4Video, trackOf } from './track.js'

/** Extras that ffmpeg makes a track or a shift of the clock of: cover art, and iTunes' note on padding. */
const EXTRAS = ['covr', 'artwork', 'iTunSMPB']
const FORMAT = 'mov,mp4,m4a,3gp,3g2,mj2'

/**
 * The header of the commonest kind of video, H.264 and AAC in a plain MP4, exactly as ffprobe would tell it, and besides whether the sound has gaps: without a
 * process, which costs as much as decoding a short clip. Null for any other file, and where anything is unusual: then
 * ffprobe has the word, as it has on a file that cannot be read.
 */
export async function mp4Header(file: OpenedFile): Promise<MediaHeader | null> {
  try {
    return await headerOf(file)
  } catch {
    return null
  }
}

async function headerOf(file: OpenedFile): Promise<MediaHeader | null> {
  const movie = await readMovie(file)
  if (!movie || EXTRAS.some((name) => movie.includes(name))) return null
  const boxes = boxesIn(movie)
  const mvhd = boxes.find(({ type }) => type === 'mvhd')
  if (!mvhd || boxes.some(({ type }) => type === 'mvex')) return null
  const { scale, duration } = clock(mvhd.body)
  const tracks = boxes.filter(({ type }) => type === 'trak').map((box) => trackOf(box, scale))
  return tracks.every((track) => track !== null) ? toHeader(tracks, duration / scale) : null
}

function toHeader(tracks: readonly Mp4Track[], clipSeconds: number): MediaHeader | null {
  const start = Math.min(...tracks.map(({ startsAt }) => startsAt))
  const placed = tracks
    .map((track, index) => ({ ...track, index, startsAt: track.startsAt - start }))
    .sort(defaultFirst)
  const pictures = placed.filter((track) => track.type === 'vide')
  const sounds = placed.filter((track) => track.type === 'soun')
  const [seen, another] = pictures
  if (another || (!seen && sounds.length === 0)) return null
  return {
    format: FORMAT,
    seconds: clipSeconds,
    video: seen ? toVideoTrack(seen) : null,
    otherVideos: [],
    cover: null,
    audioTracks: sounds.map(toAudioTrack),
    isStill: sounds.length === 0 && seen?.samples === 1,
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
}: Placed<Mp4Video>): VideoTrack => ({
  ...{ index, startsAt, seconds, width, height },
  ...{ hdr: null, canToneMap: false, keyGap: null, hasAlpha: false, decoder: null },
})

const toAudioTrack = ({
  index,
  startsAt,
  seconds,
  channels,
  isEven,
}: Placed<Mp4Audio>): AudioTrack => {
  return { index, startsAt, seconds, channels, hasLayout: true, spacing: isEven ? 'even' : 'any' }
}

type Placed<T> = T & Track

const defaultFirst = (a: Mp4Track, b: Mp4Track): number => Number(b.isDefault) - Number(a.isDefault)
