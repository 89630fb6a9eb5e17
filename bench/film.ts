/**
 * Indexes one long film, by default one that it creates: `node dist/bench/film.js [file]`. Prints
 * the duration, the CPU time, and the peak memory of this process and of its ffmpeg processes.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import { ingestPaths } from '../src/ingest/runner/ingest-paths.js'
import { cpuMs, PeakMemory } from './process.js'

const MINUTES = 120

async function benchFilm(file?: string): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    await measure(file ?? (await makeFilm(place)), join(place, 'data'))
  } finally {
    await rm(place, { recursive: true })
  }
}

async function measure(file: string, dataDir: string): Promise<void> {
  await using app = await openApp(readConfig({ ...process.env, EARSHOT_DATA: dataDir }))
  using peak = new PeakMemory()
  const startedCpuMs = cpuMs()
  const { indexed, partial, failed, seconds } = await ingestPaths([file], app, {
    concurrency: 1,
    onWarning: console.error,
    onProgress: () => {},
  })
  const { segments } = await app.gallery.catalogue.counts()
  console.log(
    `${indexed} indexed, ${partial} partial, ${failed.length} failed: ` +
      `${segments} segments in ${(seconds / 60).toFixed(1)} min, ` +
      `${((cpuMs() - startedCpuMs) / 1000).toFixed(0)} s of CPU, ` +
      `peak ${peak.own.toFixed(0)} MiB and ${peak.children.toFixed(0)} MiB in ffmpegs`,
  )
}

/** Creates a film: a repeated minute of 1080p colours and a tone, with common codecs. */
async function makeFilm(folder: string): Promise<string> {
  const [minute, film] = [join(folder, 'minute.mp4'), join(folder, 'film.mp4')]
  const inputs = [
    '-f',
    'lavfi',
    '-i',
    'testsrc2=s=1920x1080:r=24:d=60,noise=alls=12:allf=t',
    '-f',
    'lavfi',
  ]
  const codecs = [
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-b:v',
    '4M',
    '-g',
    '48',
    '-pix_fmt',
    'yuv420p',
    '-c:a',
    'aac',
  ]
  await ffmpeg([...inputs, '-i', 'sine=r=48000:d=60:b=2', ...codecs, '-ac', '2', minute])
  await ffmpeg(['-stream_loop', String(MINUTES - 1), '-i', minute, '-c', 'copy', film])
  return film
}

async function ffmpeg(args: readonly string[]): Promise<void> {
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', ...args])
}

await benchFilm(process.argv[2])
