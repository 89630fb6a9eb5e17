import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { devNull } from 'node:os'
import type { SegmentFormat } from '../src/domain/segment-format.js'
import { streamCommands } from '../src/media/decode/streams.js'
import { firstFrameCommand } from '../src/media/decode/video-command.js'
import { keyGap } from '../src/media/probe/key-gap.js'
import type { VideoTrack } from '../src/media/probe/media-header.js'
import { readHeader } from '../src/media/probe/read-header.js'
import { argumentsOf } from '../src/media/process/ffmpeg.js'
import { stageFile } from '../src/media/staging/staged-file.js'
import { OpenedFile } from '../src/storage/opened-file.js'

const ALL = { start: 0, end: Infinity }

/** Returns the command with which ingestion decodes a file. It uses the path instead of a link. */
export async function rawCommand(path: string, format: SegmentFormat): Promise<readonly string[]> {
  await using file = await OpenedFile.open(path)
  const header = await readHeader(file)
  const source = { url: `file:${path}` }
  if (header.video && header.isStill)
    return argumentsOf(source, [firstFrameCommand(header.video, format)])
  const withGap = header.video && { ...header.video, keyGap: await keyGapOf(file, header.video) }
  const { audio, video } = streamCommands({
    header: { ...header, video: withGap },
    format,
    window: ALL,
  })
  return argumentsOf(source, [...(audio ? [audio] : []), ...(video ? [video] : [])])
}

/** Runs the command and discards its output. */
export async function runRaw(command: readonly string[]): Promise<void> {
  await using nowhere = await open(devNull, 'w')
  const outputs = ['ignore', nowhere.fd, 'ignore', nowhere.fd] as const
  const [code] = await once(spawn('ffmpeg', command, { stdio: [...outputs] }), 'exit')
  if (code !== 0) throw new Error(`ffmpeg failed: ${command.join(' ')}`)
}

async function keyGapOf(file: OpenedFile, video: VideoTrack): Promise<number | null> {
  await using source = await stageFile(file)
  return await keyGap(source, video)
}
