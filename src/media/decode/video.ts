import type { SegmentFormat } from '../../domain/segment-format.js'
import type { VideoTrack } from '../probe/media-header.js'
import { DecoderLog } from '../process/decoder-log.js'
import { runFfmpeg } from '../process/ffmpeg.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { Background } from './alpha.js'
import { MIN_TAIL_SECONDS } from './audio.js'
import { chosenFrames, framesOf, isBlank } from './frame.js'
import type { Timing } from './timing.js'
import { tooLong } from './too-long.js'
import { firstFrameCommand, gridCommand, gridOf, statedSeconds } from './video-command.js'

/** The video of one segment. */
export interface VideoChunk {
  readonly seconds: number
  readonly frames: readonly Uint8Array[] // RGB, [height, width, 3] each, without blank ones
}

/** What decoding the video of a file measured. */
export interface VideoSummary {
  readonly seconds: number // measured, with the dropped tail
  readonly decoded: boolean
  readonly inWindow: boolean // false if the first frame of the file replaces a window without one
  readonly visible: boolean
  readonly track: VideoTrack | null // the one that was decoded
}

/** The summary of a file without video. */
export const NO_VIDEO: VideoSummary = {
  seconds: 0,
  decoded: false,
  inWindow: false,
  visible: false,
  track: null,
}

/** How a still is decoded. */
export interface StillOptions {
  readonly log: DecoderLog
  readonly signal?: AbortSignal | undefined
}

/** How the video of a file is decoded. */
interface VideoOptions extends StillOptions {
  readonly source: StagedFile
  readonly format: SegmentFormat
  readonly timing: Timing
}

/**
 * Yields frames by time, from the output of `gridCommand`. A segment has `framesPerSegment` equal
 * cells. The frame of a cell is the one shown in its middle, or a near one with far more detail.
 * Throws MEDIA_TOO_LONG.
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
  const builder = new ChunkBuilder(format)
  let cells = 0
  for await (const frame of chosenFrames(chunks, format)) {
    const middle = (cells++ + 0.5) * cell
    if (middle >= window.end - window.start) break
    if (window.start + middle > MEDIA_LIMITS.clipSeconds) throw tooLong()
    for (; middle >= builder.end; builder.next()) yield builder.build()
    // ffmpeg repeats the first frame before the track begins, which not every header states.
    if (middle + cell / 2 > Math.max(lead, log.firstPositionSeconds ?? 0)) builder.add(frame)
  }
  const inWindow = cells > 0
  if (!inWindow && log.positionSeconds !== null) {
    builder.add(await stillFrame(source, track, format, { log, signal }))
    cells = 1
  }
  const seconds = measuredSeconds(cells, cell, stated, log.positionSeconds ?? 0)
  const tail = seconds - builder.start
  if (cells > 0 && (builder.start === 0 || tail >= MIN_TAIL_SECONDS))
    yield { seconds: tail, frames: builder.frames }
  return { seconds, decoded: cells > 0, inWindow, visible: builder.visible, track }
}

/** Decodes a track up to its first frame that is not blank, and returns whether there is one. */
export async function isVisible(
  track: VideoTrack,
  options: Omit<VideoOptions, 'log'>,
): Promise<boolean> {
  const { source, format, timing, signal } = options
  const log = new DecoderLog(source)
  const chunks = runFfmpeg(source, gridCommand(track, format, timing), log, signal)
  for await (const { frames } of videoChunks(chunks, track, { ...options, log }))
    if (frames.length > 0) return true
  return false
}

/** Returns the first frame that can be decoded, or null if there is none. */
export async function stillFrame(
  source: StagedFile,
  track: VideoTrack,
  format: SegmentFormat,
  { log, signal }: StillOptions,
  background?: Background,
): Promise<Uint8Array | null> {
  const chunks = runFfmpeg(source, firstFrameCommand(track, format, background), log, signal)
  for await (const frame of framesOf(chunks, format)) return frame
  return null
}

/** Collects the frames of one segment after another. */
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

  /**
   * Adds the frame of the next cell, unless it is blank. Drops cells beyond `framesPerSegment`:
   * there are too many if the header states too short a length.
   */
  add(frame: Uint8Array | null): void {
    if (frame === null || this.#added++ >= this.format.visual.framesPerSegment) return
    const repeated = this.#last && Buffer.compare(this.#last.frame, frame) === 0 ? this.#last : null
    this.#last = repeated ?? { frame, isBlank: isBlank(frame) }
    if (this.#last.isBlank) return
    this.visible = true
    this.frames.push(this.#last.frame)
  }

  /** Returns the chunk of a complete segment. */
  build(): VideoChunk {
    return { seconds: this.format.seconds, frames: this.frames }
  }

  /** Starts the next segment. */
  next(): void {
    this.start = this.end
    this.frames = []
    this.#added = 0
  }
}

/**
 * Returns the stated length if the number of cells confirms it, else the length by the last
 * position of the decoder.
 */
function measuredSeconds(
  cells: number,
  cell: number,
  stated: number | null,
  position: number,
): number {
  const min = Math.max((cells - 1) * cell, position, 0)
  return stated !== null && stated >= min && stated <= cells * cell ? stated : min
}
