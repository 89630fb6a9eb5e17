import type { Span } from '../../domain/clip.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'

/** A section of a file in which the clock has no jump. */
export interface ClockPiece {
  readonly shift: number // seconds to add to a timestamp to get the time in the clip
  readonly spans: ReadonlyMap<number, Span> // timestamps of each stream in the piece, in seconds
}

/** Maps timestamps to times in the clip, for a file whose clock may jump. */
export interface Clock {
  readonly pieces: readonly ClockPiece[]
}

/** A timestamp that steps back by more than this starts a new piece. */
export const MAX_STEP_BACK_SECONDS = 0.5
/** A frame may be up to this far outside the span of its packets. */
const SLACK_SECONDS = 1
const SLACK_AT_JUMP_SECONDS = 0.1
/** ffmpeg extrapolates frames without timestamps up to this far past a jump. */
const PAST_JUMP_SECONDS = 2

/**
 * One stream in one piece, in seconds. Frames after `high` and before `reach` belong to the next
 * piece.
 */
interface Stretch extends Span, Pick<ClockPiece, 'shift'> {
  readonly low: number
  readonly high: number
  readonly reach: number
  readonly next: number // time in the clip at which the next piece begins
}

/** Returns the pieces in which a stream has packets, in order. */
export function stretchesOf({ pieces }: Clock, stream: number): readonly Stretch[] {
  const spans = pieces.flatMap(({ shift, spans }) => {
    const span = spans.get(stream)
    return span ? [{ ...span, shift }] : []
  })
  return spans.map(({ start, end, shift }, i) => {
    const next = spans[i + 1]
    const high = end + (next ? SLACK_AT_JUMP_SECONDS : SLACK_SECONDS)
    const reach = next
      ? Math.min(end + PAST_JUMP_SECONDS, next.start > end ? next.start : Infinity)
      : high
    return {
      start,
      end,
      shift,
      low: start - SLACK_SECONDS,
      high,
      reach,
      next: next ? next.start + next.shift : end,
    }
  })
}

/** Returns the timestamp at which the clip begins, in seconds. */
export const originOf = ({ pieces }: Clock): number => -(pieces[0]?.shift ?? 0)

/**
 * Returns a function that maps the timestamps of one stream to times in the clip, in seconds.
 * Timestamps must be passed in order. A timestamp in no piece is an error of the file: it maps to
 * the time of the one before.
 */
export function clipTimes(clock: Clock, stream: number): (timestamp: number) => number {
  const stretches = stretchesOf(clock, stream)
  let index = 0
  let previous = stretches[0]?.start ?? 0
  return (timestamp) => {
    const isBack = timestamp < previous - MAX_STEP_BACK_SECONDS
    const current = stretches[index]
    if (current && !isBack && timestamp > current.high && timestamp < current.reach)
      return current.next
    const first = isBack ? index + 1 : index
    const found = stretches.findIndex(
      ({ low, high }, i) => i >= first && timestamp >= low && timestamp <= high,
    )
    if (found >= 0) {
      index = found
      previous = timestamp
    }
    return previous + (stretches[index]?.shift ?? 0)
  }
}

/**
 * Returns `clipTimes` as an ffmpeg filter for the frames of a video stream. The filter subtracts
 * `start` seconds from the time in the clip.
 */
export function setptsFilter(clock: Clock, stream: number, start: number): string {
  const stretches = stretchesOf(clock, stream)
  const lookUp = (field: keyof Stretch, index: string) => {
    const terms = stretches.map(
      (stretch, i) => `eq(${index},${i})*${ffmpegSeconds(stretch[field])}`,
    )
    return `(${terms.join('+') || '0'})`
  }
  // Variables: 0 the current piece, 1 the previous timestamp, 2 the candidate piece, 3 whether T
  // steps back.
  const isPast = `not(ld(3))*gt(T,${lookUp('high', 'ld(0)')})*lt(T,${lookUp('reach', 'ld(0)')})`
  const isOutside = `gt(lt(T,${lookUp('low', 'ld(2)')})+gt(T,${lookUp('high', 'ld(2)')}),0)`
  const wasFound = `lt(ld(2),${stretches.length})`
  const time =
    `st(2,ld(0)+ld(3));while(${wasFound}*${isOutside},st(2,ld(2)+1));` +
    `if(${wasFound},st(0,ld(2));st(1,T));ld(1)+${lookUp('shift', 'ld(0)')}`
  const first = ffmpegSeconds(stretches[0]?.start ?? 0)
  const expression =
    `if(eq(N,0),st(1,${first}));st(3,lt(T,ld(1)-${MAX_STEP_BACK_SECONDS}));` +
    `if(${isPast},${lookUp('next', 'ld(0)')},${time})`
  return `setpts='st(4,(${expression}));(ld(4)-${ffmpegSeconds(start)})/TB'`
}
