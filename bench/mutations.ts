/**
 * Indexes a folder of media and 500 broken copies of its files as one job. EARSHOT_BUNDLE sets the
 * bundle. Each file must end as a clip or with a reason. A broken file must not take longer than
 * the slowest whole file. Memory must stay flat.
 *
 *   node dist/bench/mutations.js <folder> [count] [seed]
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import { FILES_PER_THREAD, ingestPaths } from '../src/ingest/runner/ingest-paths.js'
import { scan } from '../src/ingest/scan/scan.js'
import type { JobQueue } from '../src/jobs/jobs.js'
import { writeMutated } from '../test/media/mutated.js'

const REPORT_EVERY = 50 // files

const [folder, count = '500', seed = '1'] = process.argv.slice(2)
if (!folder) throw new Error('Usage: node dist/bench/mutations.js <folder of media> [count] [seed]')
const originals: string[] = []
for await (const { path } of scan([folder], { onWarning: console.error })) originals.push(path)

const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
try {
  const broken = join(place, 'broken')
  await mkdir(broken)
  await writeMutated(originals, broken, Number(count), Number(seed))
  process.exitCode = await benchJob([folder, broken])
} finally {
  await rm(place, { recursive: true })
}

async function benchJob(sources: readonly string[]): Promise<number> {
  await using app = await openApp(readConfig({ ...process.env, EARSHOT_DATA: join(place, 'data') }))
  const { catalogue } = app.gallery
  const begun = startsOf(catalogue.queue)
  const ends = new Map<string, number>()
  const slowest = { seconds: 0, what: '' }
  const megabytes: number[] = []
  const { job, seconds } = await ingestPaths(sources, app, {
    concurrency: app.config.encoder.threads * FILES_PER_THREAD,
    onWarning: console.error,
    onProgress: ({ done, path, outcome }) => {
      const end = typeof outcome === 'string' ? outcome : outcome.code
      ends.set(end, (ends.get(end) ?? 0) + 1)
      const taken = (performance.now() - (begun.get(path) ?? 0)) / 1000
      if (taken > slowest.seconds)
        Object.assign(slowest, { seconds: taken, what: `${end} of ${path}` })
      if (/INTERNAL|ENCODER_FAILED|MEDIA_STALLED/.test(end)) console.log(`${end} of ${path}`)
      megabytes.push(process.memoryUsage.rss() / 1024 ** 2)
      if (done % REPORT_EVERY === 0)
        console.log(`${done} files, ${Math.round(megabytes.at(-1) ?? 0)} MiB`)
    },
  })
  const { state } = await catalogue.jobs.progress(job)
  const { whole } = await app.gallery.check()
  const half = megabytes.length / 2
  const peaks = [megabytes.slice(0, half), megabytes.slice(half)].map((part) =>
    Math.round(Math.max(...part)),
  )
  console.log(`job ${state} in ${seconds} s, catalogue = index: ${whole}`)
  console.log([...ends].map(([end, files]) => `${end} ${files}`).join(', '))
  console.log(`slowest: ${slowest.seconds.toFixed(1)} s, ${slowest.what}`)
  console.log(`peak memory of the first and the second half: ${peaks.join(' and ')} MiB`)
  return ends.has('INTERNAL') || !whole ? 1 : 0
}

/** Records the time at which each path was last claimed. */
function startsOf(queue: JobQueue): Map<string, number> {
  const begun = new Map<string, number>()
  const claim = queue.claimItems.bind(queue)
  queue.claimItems = async (...asked) => {
    const leases = await claim(...asked)
    for (const { path } of leases) begun.set(path, performance.now())
    return leases
  }
  return begun
}
