/** What ingestion adds to its stages, on the same files in one run: `node dist/bench/ingest.js <folder of clips>`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type App, openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import type { MediaSegment, SegmentFormat } from '../src/domain.js'
import { Encoder } from '../src/encoder/encoder.js'
import type { IngestParts } from '../src/ingest/ingest-file.js'
import { FILES_PER_THREAD, ingestPaths } from '../src/ingest/ingest-paths.js'
import { scan } from '../src/ingest/scan.js'
import { openMedia } from '../src/media/media.js'
import { CORES, onCores } from './cores.js'
import { nullEncoder } from './null-encoder.js'
import { type Rate, rate, rateOf, share, show } from './rate.js'
import { rawCommand, runRaw } from './raw-ffmpeg.js'

export async function benchIngest(files: readonly string[]): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  const open = (name: string) => openApp(readConfig({ ...process.env, EARSHOT_DATA: join(place, name) }))
  try {
    await using app = await open('whole')
    await using bare = await open('bare')
    const encoder = nullEncoder(bare.encoder.bundle)
    const raw = await rateOfRaw(files, app)
    const stages = await rateOfStages(files, app)
    print(
      raw,
      stages,
      await rateOfIngestion(files, { encoder, gallery: bare.gallery }, bare),
      await rateOfIngestion(files, app, app),
    )
  } finally {
    await rm(place, { recursive: true })
  }
}

interface Stages {
  readonly decoding: Rate
  readonly encoding: Rate
}

function print(raw: Rate, { whole, shares }: { whole: Stages; shares: Stages | null }, bare: Rate, ingest: Rate): void {
  const [decode, encode] = [whole.decoding, whole.encoding]
  const inRow = 1 / (1 / decode.clips + 1 / encode.clips)
  console.log(`raw ffmpeg, the same sound and frames thrown away: ${show(raw)}`)
  console.log(`ingest, with an encoder that answers at once: ${show(bare)}`)
  console.log(`  ${share(bare.clips, raw.clips)} of raw ffmpeg; by CPU time ${share(raw.cpuMs, bare.cpuMs)}`)
  console.log(`decode alone: ${show(decode)}`)
  console.log(`encode alone: ${show(encode)}`)
  console.log(`ingest: ${show(ingest)}`)
  console.log(`  ${share(ingest.clips, inRow)} of one stage after the other, each with all cores`)
  console.log(`  by CPU time ${share(decode.cpuMs + encode.cpuMs, ingest.cpuMs)}`)
  console.log(`  ${share(ingest.clips, Math.min(decode.clips, encode.clips))} of the slower stage with all cores`)
  if (!shares) return
  console.log(`decode alone, on the cores that the encoder leaves: ${show(shares.decoding)}`)
  console.log(`encode alone, on its own cores: ${show(shares.encoding)}`)
  const slower = Math.min(shares.decoding.clips, shares.encoding.clips)
  console.log(`  ingest is ${share(ingest.clips, slower)} of the slower stage on its share of the cores`)
}

async function rateOfRaw(files: readonly string[], { encoder }: App): Promise<Rate> {
  const commands = await Promise.all(files.map((file) => rawCommand(file, encoder.bundle.format)))
  return await rate(commands, CORES, runRaw)
}

/** Each with all cores; and, where there are several, each with those that it has beside the other. */
async function rateOfStages(files: readonly string[], app: App): Promise<{ whole: Stages; shares: Stages | null }> {
  const clips: MediaSegment[][] = []
  const decodeAll = () =>
    rate(files, filesAtOnce(app), async (file) => void clips.push(await decode(file, app.encoder.bundle.format)))
  await decodeAll() // the first clips are slower: code is compiled
  clips.length = 0
  const whole = { decoding: await decodeAll(), encoding: await rateOfEncoding(clips, app, CORES) }
  const { threads } = app.config
  if (threads >= CORES) return { whole, shares: null }
  const encoding = await onCores(CORES - threads, CORES, () => rateOfEncoding(clips, app, threads))
  const decoding = await onCores(0, CORES - threads, decodeAll)
  return { whole, shares: encoding && decoding && { encoding, decoding } }
}

const filesAtOnce = ({ config }: App) => config.threads * FILES_PER_THREAD

async function decode(file: string, format: SegmentFormat): Promise<MediaSegment[]> {
  const segments = []
  const media = await openMedia(file, format)
  for await (const segment of media.segments()) segments.push(segment)
  return segments
}

async function rateOfEncoding(clips: readonly MediaSegment[][], app: App, threads: number): Promise<Rate> {
  await using encoder = await Encoder.open(app.encoder.bundle, { providers: app.config.providers, threads })
  return await rate(clips, filesAtOnce(app), async (segments) => {
    for (const segment of segments) await encoder.encodeSegment(segment, { priority: 'ingest', tags: true })
  })
}

async function rateOfIngestion(files: readonly string[], { encoder, gallery }: IngestParts, app: App): Promise<Rate> {
  const options = { concurrency: filesAtOnce(app), onWarning: console.error, onProgress: () => {} }
  return await rateOf(files.length, async () => {
    const { failed } = await ingestPaths(files, { encoder, gallery }, options)
    if (failed.length > 0) console.error(`${failed.length} of ${files.length} files failed`)
  })
}

// By itself, on the folders named.
const [, script = '', ...folders] = process.argv
if (import.meta.url === pathToFileURL(script).href) {
  const files: string[] = []
  for await (const { path } of scan(folders, { onWarning: console.error })) files.push(path)
  await benchIngest(files)
}
