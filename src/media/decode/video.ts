import type { SegmentFormat } from '../../domain/segment-format.js'
import type { VideoTrack } from '../probe/media-header.js'
import { DecoderLog } from '../process/decoder-log.js'
import { runFfmpeg } from '../process/ffmpeg.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { Background } from './alpha.js'
import { LEAST_TAIL_SECONDS } from './audio.js'
import { chosenFrames, frames, isBlank } from './frame.js'
import type { Timing } from './timing.js'
import { tooLong } from './too-long.js'
import { firstFrameCommand, gridCommand, gridOf, statedSeconds } from './video-command.js'

/** The frames of one segment, without blank ones. */
export interface VideoChunk {
  readonly seconds: number
  readonly frames: readonly Uint8Array[]
}

export interface VideoSummary {
  readonly seconds: number // measured, the dropped tail included
  readonly decoded: boolean
  readonly inWindow: boolean // false where the window has no frame, and the first of the file stands in
  readonly visible: boolean
  readonly track: VideoTrack | null // as it was seen
}

export const NO_VIDEO: VideoSummary = {
  seconds: 0,
  decoded: false,
  inWindow: false,
  visible: false,
  track: null,
}

export interface StillOptions {
  readonly log: DecoderLog
  readonly signal?: AbortSignal | undefined
}

export interface VideoOptions extends StillOptions {
  readonly source: StagedFile
  readonly format: SegmentFormat
  readonly timing: Timing
}

/**
 * Frames by time, out of the bytes of `gridJob`: each segment is cut into `framesPerSegment` equal cells, and a cell's
 * frame is the one on show in its middle, however frames are spaced, or one near it where that shows far more.
 */
export async function* videoChunks(
  chunks: AsyncIterable<Buffer>,
  track: VideoTrack,
  { source, format, timing, log, signal }: VideoOptions,
): AsyncGenerator<VideoChunk, VideoSummary> {
  const { window } = timing
  const stated = statedSeconds(track, window)
  const { cell } = gridOf(stated, format)
  const lead = track.startsAt - window.start
  const part = new ChunkBuilder(format)
  let cells = 0
  for await (const frame of chosenFrames(chunks, format)) {
    const middle = (cells++ + 0.5) * cell
    if (middle >= window.end - window.start) break
    if (window.start + middle > MEDIA_LIMITS.clipSeconds) throw tooLong()
    for (; middle >= part.end; part.next()) yield part.full()
    // Before the track begins ffmpeg shows its first frame; a header does not always state when that is.
    if (middle + cell / 2 > Math.max(lead, log.firstPositionSeconds ?? 0)) part.add(frame)
  }
  const inWindow = cells > 0
  if (!inWindow && log.positionSeconds !== null) {
    part.add(await stillFrame(source, track, format, { log, signal }))
    cells = 1
  }
  const seconds = measuredSeconds(cells, cell, stated, log.positionSeconds ?? 0)
  const tail = seconds - part.start
  if (cells > 0 && (part.start === 0 || tail >= LEAST_TAIL_SECONDS))
    yield { seconds: tail, frames: part.frames }
  return { seconds, decoded: cells > 0, inWindow, visible: part.visible, track }
}

/** Whether anything but one flat colour can be seen; reads no further than that. */
export async function isVisible(
  track: VideoTrack,
  options: Omit<VideoOptions, 'log'>,
): Promise<boolean> {
  const { source, format, timing, signal } = options
  const report = new DecoderLog(source)
  const chunks = runFfmpeg(source, gridCommand(track, format, timing), report, signal)
  for await (const { frames } of videoChunks(chunks, track, { ...options, log: report }))
    if (frames.length > 0) return true
  return false
}

/** The first frame that can be decoded, or null. */
export async function stillFrame(
  source: StagedFile,
  track: VideoTrack,
  format: SegmentFormat,
  { log, signal }: StillOptions,
  background?: Background,
): Promise<Uint8Array | null> {
  const job = firstFrameCommand(track, format, background)
  for await (const frame of frames(runFfmpeg(source, job, log, signal), format)) return frame
  return null
}

/** The segment that is being filled. */
class ChunkBuilder {
  frames: Uint8Array[] = []
  start = 0
  visible = false
  #added = 0
  #last: { readonly frame: Uint8Array; readonly isBlank: boolean } | null = null

  constructor(private readonly format: SegmentFormat) {}

  get end(): number {
    return this.start + this.format.seconds
  }

  /** A header that states too short a length makes the cells too many: those beyond the segment's number are left. */
  add(frame: Uint8Array | null): void {
    if (frame === null || this.#added++ >= this.format.visual.framesPerSegment) return
    const known = this.#last && Buffer.compare(this.#last.frame, frame) === 0 ? this.#last : null
    this.#last = known ?? { frame, isBlank: isBlank(frame) }
    if (this.#last.isBlank) return
    this.visible = true
    this.frames.push(this.#last.frame)
  }

  full(): VideoChunk {
    return { seconds: this.format.seconds, frames: this.frames }
  }

  next(): void {
    this.start = this.end
    this.frames = []
    this.#added = 0
  }
}

/** The header's length is believed where the cells that came agree with it; else the last sign of the decoder is. */
function measuredSeconds(cells: number, cell: number, stated: number | null, beat: number): number {
  const least = Math.max((cells - 1) * cell, beat, 0)
  return stated !== null && stated >= least && stated <= cells * cell ? stated : least
}
