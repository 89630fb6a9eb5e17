import type { Span } from '../../domain/clip.js'
import { ffprobeLines } from '../process/ffprobe.js'
import type { StagedFile } from '../staging/staged-file.js'
import { type Clock, type ClockPiece, MAX_STEP_BACK_SECONDS } from './clock.js'

/** A longer step forward ends a piece of the clock. ffmpeg treats it as a discontinuity too. */
const MAX_STEP_SECONDS = 10
/**
 * After a longer gap the next piece is another recording with its own clock, and the gap is
 * dropped.
 */
const MAX_GAP_SECONDS = 3600
/** Packets of one stream may be this far behind those of another in the file. */
const INTERLEAVE_SECONDS = 2
const MAX_PIECES = 500

/** The timestamps of one packet, in seconds. */
interface Packet {
  readonly stream: number
  readonly isVideo: boolean
  readonly decodedAt: number
  readonly shownAt: number
  readonly seconds: number
  readonly position: number | null // bytes; null: ffprobe extrapolates the timestamps
}

/** The clock of a file, and where its streams begin. */
export interface ClockReading {
  readonly clock: Clock
  readonly firstPositions: ReadonlyMap<number, number> // byte offset of the first packet, by stream
}

const ARGUMENTS = [
  '-show_entries',
  'packet=codec_type,stream_index,pts_time,dts_time,duration_time,pos',
  '-of',
  'csv=p=0',
]

/** Reads the clock of a file from the timestamps of all packets, without decoding them. */
export async function readClock(source: StagedFile, signal?: AbortSignal): Promise<ClockReading> {
  const firstPositions = new Map<number, number>()
  const builder = new ClockBuilder()
  const steady = new SteadyPackets((packet) => builder.add(packet))
  for await (const line of ffprobeLines(source, ARGUMENTS, signal)) {
    const packet = parsePacket(line)
    if (packet === null) continue
    if (!firstPositions.has(packet.stream)) firstPositions.set(packet.stream, packet.position ?? 0)
    steady.add(packet)
  }
  return { clock: builder.build(), firstPositions }
}

function parsePacket(line: string): Packet | null {
  const [type, ...fields] = line.split(',')
  const [stream, pts, dts, duration, position] = fields.map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ]
  const decodedAt = Number.isFinite(dts) ? dts : pts
  if (!Number.isInteger(stream) || !Number.isFinite(decodedAt)) return null
  // At a jump ffprobe mixes the timestamps of two packets.
  const isNear = Math.abs(pts - decodedAt) <= MAX_STEP_SECONDS
  return {
    ...{ stream, isVideo: type === 'video', decodedAt },
    shownAt: isNear ? pts : decodedAt,
    seconds: duration <= MAX_STEP_SECONDS ? duration : 0,
    position: Number.isFinite(position) ? position : null,
  }
}

const continues = (from: number, to: number): boolean =>
  to >= from - MAX_STEP_BACK_SECONDS && to <= from + MAX_STEP_SECONDS

/**
 * Forwards packets and drops single wrong timestamps, from which the next packet does not continue.
 */
class SteadyPackets {
  readonly #last = new Map<number, Packet>()
  readonly #doubtful = new Map<number, Packet>()

  constructor(private readonly forward: (packet: Packet) => void) {}

  add(packet: Packet): void {
    const { stream, decodedAt } = packet
    const last = this.#last.get(stream)
    const doubtful = this.#doubtful.get(stream)
    this.#doubtful.delete(stream)
    if (last === undefined || continues(last.decodedAt, decodedAt)) {
      this.#forward(packet)
    } else if (doubtful !== undefined && continues(doubtful.decodedAt, decodedAt)) {
      this.#forward(doubtful)
      this.#forward(packet)
    } else {
      this.#doubtful.set(stream, packet)
    }
  }

  #forward(packet: Packet): void {
    this.#last.set(packet.stream, packet)
    this.forward(packet)
  }
}

interface OpenPiece {
  first: number
  last: number
  readonly spans: Map<number, OpenSpan>
}

interface OpenSpan {
  start: number
  end: number // without frames whose timestamps are extrapolated
  impliedEnd: number // with these frames
}

/** Groups the packets of all streams, in the order of the file, into pieces of the clock. */
class ClockBuilder {
  readonly #pieces: OpenPiece[] = []
  readonly #streams = new Map<number, { piece: number; last: number }>()

  add({ stream, isVideo, decodedAt, shownAt, seconds, position }: Packet): void {
    const index = this.#pieceOf(stream, decodedAt)
    const piece = this.#pieces[index]
    if (piece === undefined) return
    this.#streams.set(stream, { piece: index, last: decodedAt })
    piece.first = Math.min(piece.first, decodedAt)
    piece.last = Math.max(piece.last, decodedAt)
    const span = piece.spans.get(stream) ?? {
      start: Infinity,
      end: -Infinity,
      impliedEnd: -Infinity,
    }
    span.start = Math.min(span.start, shownAt)
    if (!isVideo || position !== null) span.end = Math.max(span.end, shownAt + seconds)
    span.impliedEnd = Math.max(span.impliedEnd, shownAt + seconds)
    piece.spans.set(stream, span)
  }

  /**
   * Returns the pieces on one timeline. Keeps a gap between two pieces. Appends a piece whose clock
   * restarts to the one before.
   */
  build(): Clock {
    const pieces: ClockPiece[] = []
    let end = 0 // of the pieces so far, in seconds of the clip
    let shift = 0
    for (const open of this.#pieces) {
      const spans = spansOf(open, pieces.length === this.#pieces.length - 1)
      const start = Math.min(...[...spans.values()].map((span) => span.start))
      const gap = start + shift - end
      const isGap = pieces.length > 0 && gap >= 0 && gap <= MAX_GAP_SECONDS
      if (!isGap) shift = end - start
      end = Math.max(end, ...[...spans.values()].map((span) => span.end + shift))
      pieces.push({ shift, spans })
    }
    return { pieces }
  }

  #pieceOf(stream: number, time: number): number {
    const newest = this.#pieces.length - 1
    const state = this.#streams.get(stream)
    if (state === undefined) return this.#find(time, 0) ?? this.#open(time)
    const { piece, last } = state
    if (continues(last, time))
      return piece < newest && this.#isPastOlder(newest, time) ? newest : piece
    return this.#find(time, time > last ? piece : piece + 1) ?? this.#open(time)
  }

  /**
   * Returns whether the other streams have been in a piece for so long that this packet cannot
   * belong to an older one.
   */
  #isPastOlder(index: number, time: number): boolean {
    const { first, last } = this.#pieces[index] as OpenPiece
    return last - first > INTERLEAVE_SECONDS && this.#reaches(index, time)
  }

  /** Returns the newest piece, from index `from` on, that a timestamp can belong to. */
  #find(time: number, from: number): number | undefined {
    for (let i = this.#pieces.length - 1; i >= from; i--) if (this.#reaches(i, time)) return i
    return undefined
  }

  #reaches(index: number, time: number): boolean {
    const { first, last } = this.#pieces[index] as OpenPiece
    return time >= first - MAX_STEP_SECONDS && time <= last + MAX_STEP_SECONDS
  }

  #open(time: number): number {
    if (this.#pieces.length < MAX_PIECES)
      this.#pieces.push({ first: time, last: time, spans: new Map() })
    return this.#pieces.length - 1
  }
}

/**
 * Returns the spans of a piece. Before a jump they exclude extrapolated frames: a packet of a
 * program stream has a timestamp for its first frame only, and its other frames may follow the
 * jump.
 */
function spansOf({ spans }: OpenPiece, isLast: boolean): ReadonlyMap<number, Span> {
  return new Map(
    [...spans].map(([stream, { start, end, impliedEnd }]) => {
      return [stream, { start, end: isLast || end < start ? impliedEnd : end }]
    }),
  )
}
