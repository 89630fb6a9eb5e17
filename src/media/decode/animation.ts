import { open, rm, writeFile } from 'node:fs/promises'
import { stillWebps, type WebpAnimation, type WebpFrame } from '../probe/webp-animation.js'
import type { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg } from '../process/ffmpeg.js'
import type { StagedFile } from '../staging/staged-file.js'
import { Apng } from './apng.js'
import { LARGEST_PICTURE_ALLOCATION } from './video-command.js'

export interface AnimationOptions {
  readonly log: DecoderLog
  readonly signal?: AbortSignal | undefined
}

/**
 * An animated WebP as an APNG beside its link, which ffmpeg can decode where it cannot decode the other: it decodes the
 * frames as pictures of their own, and they are put together again, up to the first that cannot be decoded.
 */
export async function asApng(
  source: StagedFile,
  animation: WebpAnimation,
  options: AnimationOptions,
): Promise<StagedFile> {
  const [stills, path] = [`${source.path}.webp`, `${source.path}.apng`]
  await writeFile(stills, stillWebps(source.path, animation.frames))
  const pixels = runFfmpeg(
    { ...source, url: `file:${stills}` },
    STILLS,
    options.log,
    options.signal,
  )
  const written = await writeApng(path, animation, framesOf(pixels, animation.frames))
  await rm(stills)
  if (animation.isTruncated || written < animation.frames.length) options.log.isTruncated = true
  return { ...source, path, url: `file:${path}` }
}

/** As many pixels of each as it has; an error ends them, for the next one's would be taken for it. */
const STILLS: FfmpegCommand = {
  input: ['-xerror', '-f', 'webp_pipe'],
  output: [
    '-map',
    '0:v:0',
    '-autoscale',
    '0',
    '-c:v',
    'rawvideo',
    '-pix_fmt',
    'rgba',
    '-f',
    'rawvideo',
  ],
  maxAllocationBytes: LARGEST_PICTURE_ALLOCATION,
}

type Decoded = readonly [frame: WebpFrame, pixels: Buffer]

/** Answers how many frames came. */
async function writeApng(
  path: string,
  animation: WebpAnimation,
  frames: AsyncIterable<Decoded>,
): Promise<number> {
  const shown = animation.frames.length === 1 ? onWholeCanvas(animation) : animation
  const apng = new Apng(shown)
  let written = 0
  await using file = await open(path, 'w')
  await file.appendFile(await apng.head())
  for await (const [frame, pixels] of frames) {
    const placed = shown === animation ? pixels : onCanvas(frame, pixels, animation)
    await file.appendFile(await apng.frame(shown.frames[written] as WebpFrame, placed))
    written++
  }
  await file.appendFile(apng.tail)
  return written
}

/** An animation whose frames all cover the canvas: else an empty frame would come before the only one. */
function onWholeCanvas({ width, height, frames, ...animation }: WebpAnimation): WebpAnimation {
  const whole = frames.map((frame) => ({ ...frame, x: 0, y: 0, width, height }))
  return { ...animation, width, height, frames: whole }
}

/** The pixels of a frame on the whole canvas, which is transparent around it. */
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

async function* framesOf(
  chunks: AsyncIterable<Buffer>,
  frames: readonly WebpFrame[],
): AsyncGenerator<Decoded> {
  const waiting = [...frames].reverse()
  let next = waiting.pop()
  let pixels = Buffer.alloc(next ? 4 * next.width * next.height : 0)
  let filled = 0
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length && next; ) {
      const copied = chunk.copy(pixels, filled, from)
      from += copied
      filled += copied
      if (filled < pixels.length) continue
      yield [next, pixels]
      next = waiting.pop()
      pixels = Buffer.alloc(next ? 4 * next.width * next.height : 0)
      filled = 0
    }
  }
}
