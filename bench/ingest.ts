import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type App, openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import type { MediaSegment } from '../src/domain.js'
import { inParallel } from '../src/ingest/in-parallel.js'
import { FILES_PER_THREAD, ingestPaths } from '../src/ingest/ingest-paths.js'
import { openMedia } from '../src/media/media.js'

/**
 * Clips a second on the same files in one run: of a bare ffmpeg that decodes every frame and keeps none, of decoding
 * alone (ingestion whose encoder costs nothing), of encoding alone, and of the whole of ingestion.
 */
export async function benchIngest(files: readonly string[]): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    await using app = await openApp(readConfig({ ...process.env, EARSHOT_DATA: dataDir }))
    const concurrency = app.config.threads * FILES_PER_THREAD
    const clips: MediaSegment[][] = []

    const bare = await rate(files, concurrency, decodeBare)
    const decoding = await rate(files, concurrency, async (file) => void clips.push(await decode(file, app)))
    const encoding = await rate(clips, concurrency, (segments) => encode(segments, app))
    const report = await ingestPaths(files, app, { concurrency, onWarning: console.error, onProgress: () => {} })

    const seconds = clips.flat().reduce((sum, { start, end }) => sum + end - start, 0)
    print({ bare, decoding, encoding, ingest: report.indexed / report.seconds, seconds: seconds / files.length })
  } finally {
    await rm(dataDir, { recursive: true })
  }
}

interface Rates {
  readonly bare: number // clips a second
  readonly decoding: number
  readonly encoding: number
  readonly ingest: number
  readonly seconds: number // of a clip
}

function print({ bare, decoding, encoding, ingest, seconds }: Rates): void {
  const oneAfterOther = 1 / (1 / decoding + 1 / encoding) // where both want every core, this is the most there is
  console.log(`bare ffmpeg ${bare.toFixed(1)} clips/s`)
  console.log(
    `decode alone ${decoding.toFixed(1)} clips/s, ${(decoding * seconds).toFixed(0)} x realtime: ${share(decoding, bare)} of bare ffmpeg`,
  )
  console.log(`encode alone ${encoding.toFixed(1)} clips/s`)
  console.log(
    `ingest ${ingest.toFixed(1)} clips/s: ${share(ingest, Math.min(decoding, encoding))} of min(decode alone, encode alone), ${share(ingest, oneAfterOther)} of both one after the other`,
  )
}

async function rate<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<void>): Promise<number> {
  const started = performance.now()
  await inParallel(items, concurrency, work)
  return (items.length * 1000) / (performance.now() - started)
}

async function decodeBare(file: string): Promise<void> {
  const args = ['-v', 'error', '-nostdin', '-i', `file:${file}`, '-map', '0:v?', '-map', '0:a?', '-f', 'null', '-']
  await promisify(execFile)('ffmpeg', args)
}

async function decode(file: string, { encoder }: App): Promise<MediaSegment[]> {
  const segments = []
  const media = await openMedia(file, encoder.bundle.format)
  for await (const segment of media.segments()) segments.push(segment)
  return segments
}

async function encode(segments: readonly MediaSegment[], { encoder }: App): Promise<void> {
  const options = { priority: 'ingest' } as const
  for (const { samples, frames } of segments) {
    await Promise.all([
      samples && encoder.encodeSound(samples, options),
      ...frames.map((frame) => encoder.encodeFrame(frame, options)),
    ])
  }
}

const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`
