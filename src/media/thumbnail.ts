import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { decoderOptions, flatten } from './decode/alpha.js'
import { asApng } from './decode/animation.js'
import { toneMap } from './decode/hdr.js'
import { LARGEST_PICTURE_ALLOCATION } from './decode/video-command.js'
import type { VideoTrack } from './probe/media-header.js'
import { readHeader } from './probe/read-header.js'
import { sniff } from './probe/sniff.js'
import { DecoderLog } from './process/decoder-log.js'
import type { DecoderSlot } from './process/decoder-pool.js'
import { runFfmpeg } from './process/ffmpeg.js'
import { ffmpegSeconds } from './process/ffmpeg-seconds.js'
import { type StagedFile, stageFile } from './staging/staged-file.js'

const LONGER_SIDE = 480
const CHOOSE_AMONG = 30 // frames: about a second, past a cut or the end of a fade from black

export interface ThumbnailOptions {
  readonly at: number // seconds
  readonly target: string
  readonly slot?: DecoderSlot | undefined // of the budget of decoders
  readonly signal?: AbortSignal | undefined
}

/** Writes a JPEG of about the moment `at`, upright, to `target`: whole or not at all. */
export async function thumbnail(file: OpenedFile, options: ThumbnailOptions): Promise<void> {
  const { at, target, slot, signal } = options
  await sniff(file)
  const { video, cover, isStill, animation } = await readHeader(file, options)
  await slot?.enlargeFor({ isStill, video: video ?? cover }, signal)
  await using link = await stageFile(file, slot?.limits)
  const track = video ?? cover
  if (track === null)
    throw new AppError('CLIP_HAS_NO_PICTURE', `${file.name} has no picture to make a thumbnail of`)

  const report = new DecoderLog(link)
  const source = animation ? await asApng(link, animation, { log: report, signal }) : link
  const seek = isStill || track === cover ? 0 : at
  let jpeg = await frameAt(seek, source, track, report, signal)
  if (jpeg.length === 0 && seek > 0) jpeg = await frameAt(0, source, track, report, signal)
  if (jpeg.length === 0) {
    throw new AppError(
      'MEDIA_DAMAGED',
      `No picture of ${source.name} can be decoded. ffmpeg says: ${report.lastErrors.join('; ')}`,
    )
  }
  await writeWhole(target, jpeg)
}

async function frameAt(
  at: number,
  source: StagedFile,
  track: VideoTrack,
  report: DecoderLog,
  signal?: AbortSignal,
): Promise<Buffer> {
  const scale = (side: string, other: string) =>
    `trunc(max(2,min(${LONGER_SIDE},${LONGER_SIDE}*${side}/${other}))/2)*2`
  const size = `scale=w='${scale('iw*max(sar,1/9)', 'max(ih,iw*sar)')}':h='${scale('ih', 'max(ih,iw*sar)')}'`
  const job = {
    input: [...decoderOptions(track), ...(at > 0 ? ['-ss', ffmpegSeconds(at)] : [])],
    output: [
      ...[
        '-map',
        `0:${track.index}`,
        '-vf',
        `${flatten(track)}${size},setsar=1${toneMap(track)},thumbnail=${CHOOSE_AMONG}`,
        '-frames:v',
        '1',
      ],
      ...['-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-q:v', '4', '-f', 'image2pipe'],
    ],
    maxAllocationBytes: LARGEST_PICTURE_ALLOCATION,
  }
  const chunks: Buffer[] = []
  for await (const chunk of runFfmpeg(source, job, report, signal)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function writeWhole(target: string, bytes: Buffer): Promise<void> {
  const temporary = `${target}.${randomUUID()}.tmp`
  try {
    await writeFile(temporary, bytes)
    await rename(temporary, target)
  } finally {
    await rm(temporary, { force: true })
  }
}
