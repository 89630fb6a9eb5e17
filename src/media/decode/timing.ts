import { type Clock, clipTimes, originOf, setptsFilter } from '../probe/clock.js'

/** A part of the clip, in seconds of the clip; `end` may be infinite. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** Which part of a file is decoded, and how the timestamps that ffmpeg gives become times in it. */
export interface Timing {
  readonly window: Window
  readonly clock: Clock | null // null: ffmpeg's timestamps are seconds of the window
}

/** Returns the options that make ffmpeg give the timestamps of the file where the clock is mapped here. */
export const clockOptions = ({ clock }: Timing): readonly string[] => (clock ? ['-copyts'] : [])

/** A file whose clock jumps is decoded from its beginning: a timestamp does not tell where to seek. */
export const canSeek = ({ window, clock }: Timing): boolean =>
  window.start > 0 && (clock === null || clock.pieces.length === 1)

/** Returns the filter that maps the timestamps of a picture to seconds of the window, or null where they are. */
export function videoClock({ window, clock }: Timing, stream: number): string | null {
  return clock && setptsFilter(clock, stream, window.start)
}

/** Returns what is subtracted from the timestamps of sound, so that they stay exact as 32-bit floats. */
export const audioOrigin = ({ clock }: Timing): number => (clock ? originOf(clock) : 0)

/** Returns a function that maps the timestamps of a sound, less `soundOrigin`, to seconds of the window. */
export function audioTimes(
  { window, clock }: Timing,
  stream: number,
): (timestamp: number) => number {
  if (clock === null) return (timestamp) => timestamp
  const origin = originOf(clock)
  const toClip = clipTimes(clock, stream)
  return (timestamp) => toClip(timestamp + origin) - window.start
}
