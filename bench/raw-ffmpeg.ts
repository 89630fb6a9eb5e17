import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { devNull } from 'node:os'
import type { SegmentFormat } from '../src/domain.js'
import { argumentsOf } from '../src/media/ffmpeg.js'
import { jobsOf } from '../src/media/halves.js'
import { readHeader } from '../src/media/header.js'
import { keyGap } from '../src/media/key-gap.js'
import { firstFrameJob } from '../src/media/picture-job.js'
import type { PictureTrack } from '../src/media/probe.js'
import { openSource } from '../src/media/source.js'
import { OpenedFile } from '../src/storage/opened-file.js'

const ALL = { start: 0, end: Infinity }

/** The command that decodes a file, as ingestion writes it, without the link that ingestion gives to ffmpeg. */
export async function rawCommand(path: string, format: SegmentFormat): Promise<readonly string[]> {
  await using file = await OpenedFile.open(path)
  const header = await readHeader(file)
  const source = { url: `file:${path}` }
  if (header.picture && header.isStill) return argumentsOf(source, [firstFrameJob(header.picture, format)])
  const picture = header.picture && { ...header.picture, keyGap: await keyGapOf(file, header.picture) }
  const { sound, picture: seen } = jobsOf({ header: { ...header, picture }, format, window: ALL })
  return argumentsOf(source, [...(sound ? [sound] : []), ...(seen ? [seen] : [])])
}

/** Runs it, and throws away what comes. */
export async function runRaw(command: readonly string[]): Promise<void> {
  await using nowhere = await open(devNull, 'w')
  const outputs = ['ignore', nowhere.fd, 'ignore', nowhere.fd] as const
  const [code] = await once(spawn('ffmpeg', command, { stdio: [...outputs] }), 'exit')
  if (code !== 0) throw new Error(`ffmpeg failed: ${command.join(' ')}`)
}

async function keyGapOf(file: OpenedFile, picture: PictureTrack): Promise<number | null> {
  await using source = await openSource(file)
  return await keyGap(source, picture)
}
