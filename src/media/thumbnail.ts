import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { decoderOptions, flatten } from './decode/alpha.js'
import { convertToApng } from './decode/animation.js'
import { toneMap } from './decode/hdr.js'
import { MAX_VIDEO_ALLOCATION_BYTES } from './decode/video-command.js'
import type { VideoTrack } from './probe/media-header.js'
import { readHeader } from './probe/read-header.js'
import { sniff } from './probe/sniff.js'
import { DecoderLog } from './process/decoder-log.js'
import type { DecoderSlot } from './process/decoder-pool.js'
import { type FfmpegCommand, runFfmpeg } from './process/ffmpeg.js'
import { ffmpegSeconds } from './process/ffmpeg-seconds.js'
import { type StagedFile, stageFile } from './staging/staged-file.js'

const MAX_SIDE = 480 // pixels
const CANDIDATE_FRAMES = 30 // about a second: past a cut or the end of a fade from black

interface ThumbnailOptions {
  readonly at: number // seconds of the clip
  readonly target: string // path of the JPEG
  readonly slot?: DecoderSlot | undefined // permit whose limits apply to the decoder
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes an upright JPEG of a frame near `at` to `target`, atomically. Falls back to the start of
 * the video. Throws CLIP_HAS_NO_PICTURE if the file has neither video nor cover, MEDIA_DAMAGED if
 * no frame can be decoded.
 */
export async function thumbnail(file: OpenedFile, options: ThumbnailOptions): Promise<void> {
  const { at, target, slot, signal } = options
  await sniff(file)
  const { video, cover, isStill, animation } = await readHeader(file, options)
  await slot?.enlargeFor({ isStill, video: video ?? cover }, signal)
  await using staged = await stageFile(file, slot?.limits)
  const track = video ?? cover
  if (track === null) {
    const detail = `Expected video, an image or cover art for a thumbnail, got none: ${file.name}`
    throw new AppError('CLIP_HAS_NO_PICTURE', detail)
  }

  const log = new DecoderLog(staged)
  const source = animation ? await convertToApng(staged, animation, { log, signal }) : staged
  const seek = isStill || track === cover ? 0 : at
  let jpeg = await jpegAt(seek, source, track, log, signal)
  if (jpeg.length === 0 && seek > 0) jpeg = await jpegAt(0, source, track, log, signal)
  if (jpeg.length === 0) {
    const lastErrors = log.lastErrors.join('; ')
    const detail = `No frame of ${source.name} can be decoded. ffmpeg says: ${lastErrors}`
    throw new AppError('MEDIA_DAMAGED', detail)
  }
  await replaceFile(target, jpeg)
}

/** Decodes a frame near a time and encodes it. Returns an empty buffer if there is none. */
async function jpegAt(
  seconds: number,
  source: StagedFile,
  track: VideoTrack,
  log: DecoderLog,
  signal?: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of runFfmpeg(source, jpegCommand(seconds, track), log, signal))
    chunks.push(chunk)
  return Buffer.concat(chunks)
}

function jpegCommand(seconds: number, track: VideoTrack): FfmpegCommand {
  const evenSide = (side: string) =>
    `trunc(max(2,min(${MAX_SIDE},${MAX_SIDE}*${side}/max(ih,iw*sar)))/2)*2`
  const size = `scale=w='${evenSide('iw*max(sar,1/9)')}':h='${evenSide('ih')}'`
  const filters = [
    `${flatten(track)}${size}`,
    `setsar=1${toneMap(track)}`,
    `thumbnail=${CANDIDATE_FRAMES}`,
  ].join(',')
  return {
    input: [...decoderOptions(track), ...(seconds > 0 ? ['-ss', ffmpegSeconds(seconds)] : [])],
    output: [
      ...['-map', `0:${track.index}`, '-vf', filters, '-frames:v', '1'],
      ...['-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-q:v', '4', '-f', 'image2pipe'],
    ],
    maxAllocationBytes: MAX_VIDEO_ALLOCATION_BYTES,
  }
}

/**
 * Replaces a file in one step. Does not use `writeAtomic`, which blocks the event loop until the
 * disk has synced: after a power cut a thumbnail can be made again.
 */
async function replaceFile(path: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    await writeFile(temporary, bytes)
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}
