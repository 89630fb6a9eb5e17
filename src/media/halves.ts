import type { SegmentFormat } from '../domain.js'
import { soundJob, soundParts, type Voice } from './audio.js'
import { run } from './ffmpeg.js'
import type { Halves } from './join.js'
import { gridJob } from './picture-job.js'
import type { PictureTrack, Probe } from './probe.js'
import type { Source } from './source.js'
import type { Timing, Window } from './timing.js'
import { type Half, type Reports, together } from './together.js'
import { heardParts, seenParts, voicesOf } from './tracks.js'
import { pictureParts } from './video.js'

/** A larger picture takes larger blocks of memory than a gap in the sound may be filled with: it has its own ffmpeg. */
const LARGEST_TOGETHER_PIXELS = 3840 * 2160

export interface Wanted {
  readonly source: Source
  readonly header: Probe // without the halves that are not wanted
  readonly format: SegmentFormat
  readonly window: Window
  readonly reports: Reports
  readonly signal: AbortSignal
}

/** Sound and picture of a file, to be decoded side by side. */
export function openHalves(wanted: Wanted): Omit<Halves, 'stop'> {
  const { source, header, format, reports, signal } = wanted
  const { picture, otherPictures, sounds } = header
  const timing = timingOf(wanted)
  const voices = voicesOf(sounds, format)
  const [voice] = voices
  const chunks = openChunks(wanted)
  const open = (voice: Voice, chunks = run(source, soundJob(voice, format, timing), reports.sound, signal)) =>
    soundParts(chunks, voice, { format, timing, report: reports.sound })
  const options = { source, format, timing, signal }
  const look = (track: PictureTrack, chunks = run(source, gridJob(track, format, timing), reports.picture, signal)) =>
    pictureParts(chunks, track, { ...options, report: reports.picture })
  const seen = picture && chunks.picture && look(picture, chunks.picture)
  return {
    sound: voice && chunks.sound ? heardParts(open(voice, chunks.sound), voices, { ...options, open }) : null,
    picture: seen && seenParts(seen, [picture, ...otherPictures], { ...options, open: look }),
  }
}

/** What ffmpeg is to do for each half that there is; of the sound, for the first of its voices. */
export function jobsOf({ header, format, window }: Pick<Wanted, 'header' | 'format' | 'window'>) {
  const timing = timingOf({ header, window })
  const [voice] = voicesOf(header.sounds, format)
  return {
    sound: voice ? soundJob(voice, format, timing) : null,
    picture: header.picture && gridJob(header.picture, format, timing),
  }
}

function openChunks(wanted: Wanted): Record<Half, AsyncGenerator<Buffer, void> | null> {
  const { source, header, window, reports, signal } = wanted
  const { sound, picture } = jobsOf(wanted)
  const canShare = window.start === 0 && !isHuge(header.picture) // a seek is not the same for sound and picture
  if (sound && picture && canShare) return together(source, { sound, picture }, reports, signal)
  return {
    sound: sound && run(source, sound, reports.sound, signal),
    picture: picture && run(source, picture, reports.picture, signal),
  }
}

function timingOf({ header, window }: Pick<Wanted, 'header' | 'window'>): Timing {
  return { window, clock: header.clock }
}

const isHuge = (picture: PictureTrack | null) =>
  (picture?.width ?? 0) * (picture?.height ?? 0) > LARGEST_TOGETHER_PIXELS
