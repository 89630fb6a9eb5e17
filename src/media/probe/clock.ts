import type { Span } from '../../domain/clip.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'

/** A stretch of a file in which its clock runs on without a jump. */
export interface ClockPiece {
  readonly shift: number // seconds to add to a timestamp to get the time in the clip
  readonly spans: ReadonlyMap<number, Span> // timestamps of each stream in the piece, in seconds
}

/** How timestamps become times in the clip, for a file whose clock may jump. */
export interface Clock {
  readonly pieces: readonly ClockPiece[]
}

/** A timestamp that goes back by more than this belongs to a later piece. */
export const LARGEST_STEP_BACK_SECONDS = 0.5
const SLACK_SECONDS = 1 // a frame may lie so far outside of what its packets state
const SLACK_AT_JUMP_SECONDS = 0.1
/** Frames without timestamps of their own, which are counted on from those before a jump, reach so far past it. */
const PAST_JUMP_SECONDS = 2

/** The timestamps of one stream in one piece; frames that come later, up to `reach`, belong to the next piece. */
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

/** Returns the timestamp at which the clip begins. */
export const originOf = ({ pieces }: Clock): number => -(pieces[0]?.shift ?? 0)

/**
 * Returns a function that maps the timestamps of one stream, given in order, to times in the clip. A timestamp in no
 * piece is an error of the file: it is mapped as the one before it.
 */
export function clipTimes(clock: Clock, stream: number): (timestamp: number) => number {
  const stretches = stretchesOf(clock, stream)
  let at = 0
  let previous = stretches[0]?.start ?? 0
  return (timestamp) => {
    const isBack = timestamp < previous - LARGEST_STEP_BACK_SECONDS
    const current = stretches[at]
    if (current && !isBack && timestamp > current.high && timestamp < current.reach)
      return current.next
    const first = isBack ? at + 1 : at
    const found = stretches.findIndex(
      ({ low, high }, i) => i >= first && timestamp >= low && timestamp <= high,
    )
    if (found >= 0) {
      at = found
      previous = timestamp
    }
    return previous + (stretches[at]?.shift ?? 0)
  }
}

/** Returns `clipTimes` as a filter of ffmpeg for the frames of a picture, with the clip beginning at `start`. */
export function setptsFilter(clock: Clock, stream: number, start: number): string {
  const stretches = stretchesOf(clock, stream)
  const lookUp = (of: keyof Stretch, index: string) => {
    const terms = stretches.map((stretch, i) => `eq(${index},${i})*${ffmpegSeconds(stretch[of])}`)
    return `(${terms.join('+') || '0'})`
  }
  // Variables: 0 the current piece, 1 the previous timestamp, 2 the piece that is looked at, 3 whether T goes back.
  const isPast = `not(ld(3))*gt(T,${lookUp('high', 'ld(0)')})*lt(T,${lookUp('reach', 'ld(0)')})`
  const isOutside = `gt(lt(T,${lookUp('low', 'ld(2)')})+gt(T,${lookUp('high', 'ld(2)')}),0)`
  const wasFound = `lt(ld(2),${stretches.length})`
  const time =
    `st(2,ld(0)+ld(3));while(${wasFound}*${isOutside},st(2,ld(2)+1));` +
    `if(${wasFound},st(0,ld(2));st(1,T));ld(1)+${lookUp('shift', 'ld(0)')}`
  const first = ffmpegSeconds(stretches[0]?.start ?? 0)
  const expression =
    `if(eq(N,0),st(1,${first}));st(3,lt(T,ld(1)-${LARGEST_STEP_BACK_SECONDS}));` +
    `if(${isPast},${lookUp('next', 'ld(0)')},${time})`
  return `setpts='st(4,(${expression}));(ld(4)-${ffmpegSeconds(start)})/TB'`
}
