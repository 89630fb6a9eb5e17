import { type Clock, clipTimes, originOf, setptsFilter } from '../probe/clock.js'

/** A part of the clip, in seconds of the clip. `end` may be infinite. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** The window to decode, and the clock that maps timestamps to it. */
export interface Timing {
  readonly window: Window
  readonly clock: Clock | null // null: ffmpeg's timestamps are seconds of the window
}

/** Returns the options that make ffmpeg keep the timestamps of the file, if there is a clock. */
export const clockOptions = ({ clock }: Timing): readonly string[] => (clock ? ['-copyts'] : [])

/**
 * Returns whether ffmpeg can seek to the window. A clock with jumps does not determine a position.
 */
export const canSeek = ({ window, clock }: Timing): boolean =>
  window.start > 0 && (clock === null || clock.pieces.length === 1)

/**
 * Returns the filter that maps video timestamps to seconds of the window, or null without a clock.
 */
export function videoClock({ window, clock }: Timing, stream: number): string | null {
  return clock && setptsFilter(clock, stream, window.start)
}

/**
 * Returns the seconds to subtract from audio timestamps, so that they stay exact as 32-bit floats.
 */
export const audioOrigin = ({ clock }: Timing): number => (clock ? originOf(clock) : 0)

/** Returns a function from audio timestamps, less `audioOrigin`, to seconds of the window. */
export function audioTimes(
  { window, clock }: Timing,
  stream: number,
): (timestamp: number) => number {
  if (clock === null) return (timestamp) => timestamp
  const origin = originOf(clock)
  const toClip = clipTimes(clock, stream)
  return (timestamp) => toClip(timestamp + origin) - window.start
}
