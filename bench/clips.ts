/**
 * Indexes many small clips with real decoding and encoding. Measures the rate of each thousand, the
 * memory, and the time of a restart that finds nothing new. The default count is 10,000.
 *
 *   [EARSHOT_BUNDLE=…] node dist/bench/clips.js [count]
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openApp } from '../src/app.js'
import { type Config, readConfig } from '../src/config.js'
import {
  FILES_PER_THREAD,
  type IngestReport,
  ingestPaths,
} from '../src/ingest/runner/ingest-paths.js'
import { cpuMs, memoryMiB } from './process.js'

const THOUSAND = 1000

async function benchClips(count: number): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    const clips = join(place, 'clips')
    await makeClips(clips, count)
    const config = readConfig({ ...process.env, EARSHOT_DATA: join(place, 'data') })
    await indexAll(clips, config)
    await restart(clips, config)
  } finally {
    await rm(place, { recursive: true })
  }
}

/** Cuts films into clips of one second. Each film has its own colours, tone and frame counter. */
async function makeClips(folder: string, clips: number): Promise<void> {
  for (let made = 0; made < clips; made += THOUSAND) {
    const seconds = Math.min(THOUSAND, clips - made)
    const into = join(folder, String(made / THOUSAND))
    await mkdir(into, { recursive: true })
    const picture = `testsrc2=s=128x96:r=10:d=${seconds},hue=h=${(made / THOUSAND) * 37}`
    const wave = `0.3*sin(${200 + made / 50}*2*PI*t+3*sin(t/7))+0.1*random(0)`
    const sound = `aevalsrc='${wave}':s=16000:d=${seconds}`
    const codecs = [
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-g',
      '10',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'aac',
    ]
    const cut = [
      '-f',
      'segment',
      '-segment_time',
      '1',
      '-reset_timestamps',
      '1',
      join(into, '%04d.mp4'),
    ]
    const inputs = ['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', sound]
    await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', ...inputs, ...codecs, ...cut])
  }
}

async function indexAll(clips: string, config: Config): Promise<void> {
  await using app = await openApp(config)
  const lap = new Lap()
  const report = await ingestPaths([clips], app, {
    concurrency: config.encoder.threads * FILES_PER_THREAD,
    onWarning: console.error,
    onProgress: ({ done }) => {
      if (done % THOUSAND === 0) lap.end(done)
    },
  })
  console.log(
    `${describe(report)}; bundle ${app.encoder.bundle.name}, ` +
      `the last thousand took ${lap.lastOverFirst} of the first`,
  )
}

async function restart(clips: string, config: Config): Promise<void> {
  const started = performance.now()
  await using app = await openApp(config)
  const report = await ingestPaths([clips], app, {
    concurrency: 1,
    onWarning: console.error,
    onProgress: () => {},
  })
  console.log(
    `restart with nothing to do: ${describe(report)}, ` +
      `opened and done in ${since(started).toFixed(1)} s`,
  )
}

const describe = ({ indexed, unchanged, partial, failed, seconds }: IngestReport): string =>
  `${indexed} indexed, ${unchanged} unchanged, ${partial} partial, ` +
  `${failed.length} failed in ${seconds.toFixed(0)} s`

const since = (started: number): number => (performance.now() - started) / 1000

/** Measures the cost of each thousand. CPU time shows growth even on a busy machine. */
class Lap {
  #startedMs = performance.now()
  #cpuMs = cpuMs()
  readonly #costs: number[] = [] // ms of CPU per clip

  get lastOverFirst(): string {
    const [first = NaN, last = NaN] = [this.#costs[0], this.#costs.at(-1)]
    return `${((100 * last) / first).toFixed(0)} % of the CPU time`
  }

  end(done: number): void {
    const cost = (cpuMs() - this.#cpuMs) / THOUSAND
    const rate = THOUSAND / since(this.#startedMs)
    const { own, children } = memoryMiB()
    console.log(
      `${done} clips: ${rate.toFixed(2)} clips/s, ${cost.toFixed(0)} ms of CPU a clip, ` +
        `${own.toFixed(0)} MiB and ${children.toFixed(0)} MiB in ffmpegs`,
    )
    this.#costs.push(cost)
    this.#startedMs = performance.now()
    this.#cpuMs = cpuMs()
  }
}

await benchClips(Number(process.argv[2] ?? 10_000))
