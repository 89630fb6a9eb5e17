import { open, rm, writeFile } from 'node:fs/promises'
import { stillWebps, type WebpAnimation, type WebpFrame } from '../probe/webp-animation.js'
import type { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg } from '../process/ffmpeg.js'
import type { StagedFile } from '../staging/staged-file.js'
import { Apng } from './apng.js'
import { blocksOf } from './blocks.js'
import { MAX_VIDEO_ALLOCATION_BYTES } from './video-command.js'

interface AnimationOptions {
  readonly log: DecoderLog
  readonly signal?: AbortSignal | undefined
}

/**
 * Decodes the stills and stops at the first error, since later pixels would be assigned to the
 * wrong frame. Each frame has its own size.
 */
const STILLS_COMMAND: FfmpegCommand = {
  input: ['-xerror', '-f', 'webp_pipe'],
  output: [
    ...['-map', '0:v:0', '-autoscale', '0'],
    ...['-c:v', 'rawvideo', '-pix_fmt', 'rgba', '-f', 'rawvideo'],
  ],
  maxAllocationBytes: MAX_VIDEO_ALLOCATION_BYTES,
}

/**
 * Converts an animated WebP to an APNG in the folder of its link, for an ffmpeg that decodes only
 * still WebPs. Contains the frames up to the first that cannot be decoded, and marks the log as
 * truncated then.
 */
export async function convertToApng(
  source: StagedFile,
  animation: WebpAnimation,
  { log, signal }: AnimationOptions,
): Promise<StagedFile> {
  const [stills, path] = [`${source.path}.webp`, `${source.path}.apng`]
  await writeFile(stills, stillWebps(source.path, animation.frames))
  const chunks = runFfmpeg({ ...source, url: `file:${stills}` }, STILLS_COMMAND, log, signal)
  const written = await writeApng(path, animation, framesOf(chunks, animation.frames))
  await rm(stills)
  if (animation.isTruncated || written < animation.frames.length) log.isTruncated = true
  return { ...source, path, url: `file:${path}` }
}

type DecodedFrame = readonly [frame: WebpFrame, pixels: Buffer]

/** Writes an APNG and returns the number of frames written. */
async function writeApng(
  path: string,
  animation: WebpAnimation,
  frames: AsyncIterable<DecodedFrame>,
): Promise<number> {
  const target = animation.frames.length === 1 ? withWholeFrames(animation) : animation
  const apng = new Apng(target)
  let written = 0
  await using file = await open(path, 'w')
  await file.appendFile(await apng.head())
  for await (const [frame, pixels] of frames) {
    const placed = target === animation ? pixels : onCanvas(frame, pixels, animation)
    await file.appendFile(await apng.frame(target.frames[written] as WebpFrame, placed))
    written++
  }
  await file.appendFile(apng.tail)
  return written
}

/**
 * Returns the animation with frames of the size of the canvas. Without that, an empty frame would
 * precede the only one.
 */
function withWholeFrames({ width, height, frames, ...animation }: WebpAnimation): WebpAnimation {
  const whole = frames.map((frame) => ({ ...frame, x: 0, y: 0, width, height }))
  return { ...animation, width, height, frames: whole }
}

/** Returns the pixels of a frame on the whole canvas, transparent around the frame. */
function onCanvas(
  { x, y, width, height }: WebpFrame,
  pixels: Buffer,
  canvas: WebpAnimation,
): Buffer {
  if (width === canvas.width && height === canvas.height) return pixels
  const whole = Buffer.alloc(4 * canvas.width * canvas.height)
  for (let row = 0; row < height; row++) {
    pixels.copy(whole, 4 * ((y + row) * canvas.width + x), 4 * row * width, 4 * (row + 1) * width)
  }
  return whole
}

/** Yields the frames whose pixels (RGBA) have arrived completely. */
async function* framesOf(
  chunks: AsyncIterable<Buffer>,
  frames: readonly WebpFrame[],
): AsyncGenerator<DecodedFrame> {
  const bytesOf = ({ width, height }: WebpFrame) => 4 * width * height
  let allocated = 0
  const allocate = () => {
    const frame = frames[allocated++]
    return frame ? Buffer.alloc(bytesOf(frame)) : null
  }
  let decoded = 0
  for await (const pixels of blocksOf(chunks, allocate)) {
    const frame = frames[decoded++] as WebpFrame
    if (pixels.length === bytesOf(frame)) yield [frame, pixels]
  }
}
