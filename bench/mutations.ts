/**
 * A folder of media and 500 broken copies of it, decoded as ingestion does: `node dist/bench/mutations.js <folder>
 * [count] [seed]`. Every file must end as a clip or with a reason, and memory must stay flat.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SegmentFormat } from '../src/domain.js'
import { toAppError } from '../src/errors.js'
import { inParallel } from '../src/ingest/in-parallel.js'
import { FILES_PER_THREAD } from '../src/ingest/ingest-paths.js'
import { scan } from '../src/ingest/scan.js'
import { openMedia } from '../src/media/media.js'
import { seeded } from '../test/contract/vectors.js'
import { MUTATIONS, mutated } from '../test/media/mutated.js'

const FORMAT: SegmentFormat = {
  seconds: 10,
  modalities: ['audio', 'visual'],
  audio: { sampleRateHz: 32_000, samples: 320_000, channels: 'mean' },
  visual: { width: 224, height: 224, resize: 'squash', framesPerSegment: 8 },
}
const REPORT_EVERY = 50 // files

interface Item {
  readonly path: string
  readonly mutation: number | null // null: the file as it is
}

const [folder, count = '500', seed = '1'] = process.argv.slice(2)
if (!folder) throw new Error('Usage: node dist/bench/mutations.js <folder of media> [count] [seed]')
const originals: string[] = []
for await (const { path } of scan([folder], { onWarning: console.error })) originals.push(path)
const pick = (random: () => number) => originals[Math.floor(random() * originals.length)] as string
const items: Item[] = originals.map((path) => ({ path, mutation: null }))
for (let i = 0; i < Number(count); i++) items.push({ path: pick(seeded(Number(seed) + i)), mutation: i })

const ends = new Map<string, number>()
let done = 0
let slowest = { seconds: 0, what: '' }
const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
try {
  await inParallel(items, availableParallelism() * FILES_PER_THREAD, judge)
} finally {
  await rm(place, { recursive: true })
}
console.log(
  [...ends]
    .sort(([, a], [, b]) => b - a)
    .map(([end, files]) => `${end} ${files}`)
    .join(', '),
)
console.log(`slowest: ${slowest.seconds.toFixed(1)} s, ${slowest.what}`)
process.exitCode = ends.has('INTERNAL') ? 1 : 0

async function judge(item: Item): Promise<void> {
  const path = await fileOf(item)
  const started = performance.now()
  const end = await decode(path).catch((error) => toAppError(error).code)
  const seconds = (performance.now() - started) / 1000
  const what = `${end} of ${item.path}${item.mutation === null ? '' : `, mutation ${item.mutation}`}`
  if (end === 'INTERNAL') console.log(what)
  if (seconds > slowest.seconds) slowest = { seconds, what }
  ends.set(end, (ends.get(end) ?? 0) + 1)
  if (++done % REPORT_EVERY === 0)
    console.log(`${done} files, ${Math.round(process.memoryUsage.rss() / 1024 ** 2)} MiB`)
  if (item.mutation !== null) await rm(path)
}

async function fileOf({ path, mutation }: Item): Promise<string> {
  if (mutation === null) return path
  const random = seeded(-Number(seed) - mutation) // of this file alone, whatever ends before it
  const another = await readFile(pick(random))
  const how = MUTATIONS[mutation % MUTATIONS.length] as (typeof MUTATIONS)[number]
  const broken = join(place, String(mutation))
  await writeFile(broken, mutated(await readFile(path), how, another, random))
  return broken
}

async function decode(path: string): Promise<string> {
  const media = await openMedia(path, FORMAT)
  for await (const _ of media.segments());
  return media.outcome.notes.includes('DAMAGED') ? 'partial' : 'whole'
}
