import { LIMITS } from '../config.js'
import type { SegmentFormat } from '../domain.js'
import { LEAST_TAIL_SECONDS, tooLong, type Window } from './audio.js'
import { type Job, run } from './ffmpeg.js'
import type { PictureTrack } from './probe.js'
import type { Report } from './report.js'
import type { Source } from './source.js'

export const LARGEST_PICTURE_ALLOCATION = 768 * 1024 ** 2
const FLAT_DEVIATION = 2 // of 255, per channel
const BEAT_SECONDS = 0.1

/** The frames of one segment, without blank ones. */
export interface PicturePart {
  readonly seconds: number
  readonly frames: readonly Uint8Array[]
}

export interface PictureSummary {
  readonly seconds: number // measured, the dropped tail included
  readonly decoded: boolean
  readonly visible: boolean
}

export interface StillOptions {
  readonly report: Report
  readonly signal?: AbortSignal | undefined
}

export interface PictureOptions extends StillOptions {
  readonly window: Window
  readonly alsoRead?: number | undefined // a stream whose clock the picture shares
}

/**
 * Frames by time: each segment is cut into `framesPerSegment` equal cells, and a cell's frame is the one on show in its
 * middle, however frames are spaced. A clip shorter than a segment has its cells within its stated length.
 */
export async function* pictureParts(
  source: Source,
  track: PictureTrack,
  format: SegmentFormat,
  options: PictureOptions,
): AsyncGenerator<PicturePart, PictureSummary> {
  const { window, report } = options
  const perSegment = format.visual.framesPerSegment
  const stated = statedSeconds(track, window)
  const gridMs = Math.round(1000 * Math.max(0.04, Math.min(format.seconds, stated ?? format.seconds)))
  const cell = gridMs / 1000 / perSegment
  const lead = track.startsAt - window.start
  const part = new Part(format)
  let cells = 0
  for await (const frame of frames(
    source,
    gridJob(track, format, options, `${perSegment * 1000}/${gridMs}`),
    format,
    options,
  )) {
    const middle = (cells++ + 0.5) * cell
    if (middle >= window.end - window.start) break
    if (window.start + middle > LIMITS.clipSeconds) throw tooLong()
    for (; middle >= part.end; part.next()) yield part.full()
    // Before the track begins ffmpeg shows its first frame.
    if (middle + cell / 2 > lead) part.add(frame)
  }
  if (cells === 0 && report.beat !== null) {
    part.add(await stillFrame(source, track, format, options))
    cells = 1
  }
  const seconds = measure(cells, cell, stated, report.beat ?? 0)
  const tail = seconds - part.start
  if (cells > 0 && (part.start === 0 || tail >= LEAST_TAIL_SECONDS)) yield { seconds: tail, frames: part.frames }
  return { seconds, decoded: cells > 0, visible: part.visible }
}

/** The first frame that can be decoded, or null. */
export async function stillFrame(
  source: Source,
  track: PictureTrack,
  format: SegmentFormat,
  options: StillOptions,
): Promise<Uint8Array | null> {
  const job = pictureJob(track, [], ['-vf', filters(format), '-frames:v', '1'])
  for await (const frame of frames(source, job, format, options)) return frame
  return null
}

/** One flat colour, but for what coding adds. */
export function isBlank(frame: Uint8Array): boolean {
  const pixels = frame.length / 3
  for (let channel = 0; channel < 3; channel++) {
    let sum = 0
    let squares = 0
    for (let i = channel; i < frame.length; i += 3) {
      const value = frame[i] as number
      sum += value
      squares += value * value
    }
    if (squares / pixels - (sum / pixels) ** 2 > FLAT_DEVIATION ** 2) return false
  }
  return true
}

/** The segment that is being filled. */
class Part {
  frames: Uint8Array[] = []
  start = 0
  visible = false
  #added = 0

  constructor(private readonly format: SegmentFormat) {}

  get end(): number {
    return this.start + this.format.seconds
  }

  /** A header that states too short a length makes the cells too many: those beyond the segment's number are left. */
  add(frame: Uint8Array | null): void {
    if (frame === null || this.#added++ >= this.format.visual.framesPerSegment || isBlank(frame)) return
    this.visible = true
    this.frames.push(frame)
  }

  full(): PicturePart {
    return { seconds: this.format.seconds, frames: this.frames }
  }

  next(): void {
    this.start = this.end
    this.frames = []
    this.#added = 0
  }
}

/** The header's length is believed where the cells that came agree with it; else the last sign of the decoder is. */
function measure(cells: number, cell: number, stated: number | null, beat: number): number {
  const least = Math.max((cells - 1) * cell, beat, 0)
  return stated !== null && stated >= least && stated <= cells * cell ? stated : least
}

function statedSeconds({ seconds, startsAt }: PictureTrack, { start, end }: Window): number | null {
  if (seconds === null || seconds <= 0) return Number.isFinite(end) ? end - start : null
  return Math.max(0, Math.min(startsAt + seconds, end) - start)
}

function gridJob(track: PictureTrack, format: SegmentFormat, { window, alsoRead }: PictureOptions, rate: string): Job {
  // Not the accurate seek: it would drop the frame on show at the start, which began before it.
  const seek = window.start > 0 ? ['-noaccurate_seek', '-ss', String(window.start)] : []
  // The decoder says where it is: a proof of life where frames are rare, and the length where the header lies.
  const beat = `select='1+0*if(gte(t,ld(0)),print(t,16)+st(0,t+${BEAT_SECONDS}))'`
  const chain = `${beat},fps=${rate}:start_time=0:eof_action=pass,${filters(format)}`
  return { ...pictureJob(track, seek, ['-vf', chain]), ...(alsoRead !== undefined && { alsoRead }) }
}

function pictureJob({ index }: PictureTrack, seek: readonly string[], output: readonly string[]): Job {
  return {
    // A change of size midway must not restart the filters, whose clock would begin again.
    input: ['-reinit_filter', '0', ...seek],
    output: ['-map', `0:${index}`, ...output, '-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'rawvideo'],
    largestAllocation: LARGEST_PICTURE_ALLOCATION,
  }
}

function filters({ visual: { width, height, resize } }: SegmentFormat): string {
  const flags = 'flags=bilinear+accurate_rnd+full_chroma_int'
  if (resize === 'squash') return `scale=${width}:${height}:${flags},setsar=1`
  const size = `w='max(${width},round(${height}*dar))':h='max(${height},round(${width}/dar))'`
  return `scale=${size}:${flags},crop=${width}:${height},setsar=1`
}

async function* frames(
  source: Source,
  job: Job,
  { visual }: SegmentFormat,
  { report, signal }: StillOptions,
): AsyncGenerator<Uint8Array> {
  const length = visual.width * visual.height * 3
  let frame = new Uint8Array(length)
  let filled = 0
  for await (const chunk of run(source, job, report, signal)) {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(frame, filled, from)
      from += copied
      filled += copied
      if (filled < length) continue
      yield frame
      frame = new Uint8Array(length)
      filled = 0
    }
  }
}
