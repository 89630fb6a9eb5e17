import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import type { MediaSegment } from '../src/domain.js'
import { inParallel } from '../src/ingest/in-parallel.js'
import { FILES_PER_THREAD, ingestPaths } from '../src/ingest/ingest-paths.js'
import { openMedia } from '../src/media/media.js'

/** Clips a second of decoding alone, of encoding alone, and of the whole of ingestion, on the same files in one run. */
export async function benchIngest(files: readonly string[]): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    await using app = await openApp(readConfig({ ...process.env, EARSHOT_DATA: dataDir }))
    const concurrency = app.config.threads * FILES_PER_THREAD
    const clips: MediaSegment[][] = []
    const rate = (started: number) => (files.length * 1000) / (performance.now() - started)

    let started = performance.now()
    await inParallel(files, concurrency, async (file) => void clips.push(await decode(file, app)))
    const decodeAlone = rate(started)
    const seconds = clips.flat().reduce((sum, { start, end }) => sum + end - start, 0)

    started = performance.now()
    await inParallel(clips, concurrency, (segments) => encode(segments, app))
    const encodeAlone = rate(started)

    const report = await ingestPaths(files, app, { concurrency, onWarning: console.error, onProgress: () => {} })
    const ingest = report.indexed / report.seconds
    const ceiling = Math.min(decodeAlone, encodeAlone)
    const shared = 1 / (1 / decodeAlone + 1 / encodeAlone) // where both want every core, this is the most there is
    console.log(
      `decode alone ${decodeAlone.toFixed(1)} clips/s, ${((decodeAlone * seconds) / files.length).toFixed(0)} x realtime`,
    )
    console.log(`encode alone ${encodeAlone.toFixed(1)} clips/s`)
    console.log(
      `ingest ${ingest.toFixed(1)} clips/s: ${share(ingest, ceiling)} of min(decode alone, encode alone), ${share(ingest, shared)} of both one after the other`,
    )
  } finally {
    await rm(dataDir, { recursive: true })
  }
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
