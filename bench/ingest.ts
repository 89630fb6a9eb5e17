/**
 * Compares ingestion with its stages on the same files in one run:
 * `node dist/bench/ingest.js <folder of clips>`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type App, openApp } from '../src/app.js'
import { readConfig } from '../src/config.js'
import type { MediaSegment, SegmentFormat } from '../src/domain/segment-format.js'
import { Encoder } from '../src/encoder/encoder.js'
import type { IngestDeps } from '../src/ingest/ingest-file.js'
import { FILES_PER_THREAD, ingestPaths } from '../src/ingest/runner/ingest-paths.js'
import { scan } from '../src/ingest/scan/scan.js'
import { openMedia } from '../src/media/media.js'
import { OpenedFile } from '../src/storage/opened-file.js'
import { CORES, onCores } from './cores.js'
import { nullEncoder } from './null-encoder.js'
import { asShare, type Rate, rate, rateOf, show } from './rate.js'
import { rawCommand, runRaw } from './raw-ffmpeg.js'
import { median } from './statistics.js'

/** The load of a machine varies. A ratio therefore compares rates of one round. */
const ROUNDS = 3

export async function benchIngest(files: readonly string[]): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  const open = (name: string) =>
    openApp(readConfig({ ...process.env, EARSHOT_DATA: join(place, name) }))
  try {
    await using first = await open('first')
    await rateOfBare(files, first) // the first clips are slower because the code is compiled
    const rounds: Round[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      await using app = await open(`whole-${round}`)
      await using bare = await open(`bare-${round}`)
      rounds.push(await measure(files, app, bare))
    }
    print(rounds)
  } finally {
    await rm(place, { recursive: true })
  }
}

interface Stages {
  readonly decoding: Rate
  readonly encoding: Rate
}

interface Round {
  readonly raw: Rate
  readonly bare: Rate
  readonly whole: Stages
  readonly shares: Stages | null
  readonly ingest: Rate
}

async function measure(files: readonly string[], app: App, bare: App): Promise<Round> {
  return {
    raw: await rateOfRaw(files, app),
    bare: await rateOfBare(files, bare),
    ...(await rateOfStages(files, app)),
    ingest: await rateOfIngestion(files, app, app),
  }
}

function print(rounds: readonly Round[]): void {
  const say = (what: string, figure: (round: Round) => string) =>
    console.log(`${what}: ${rounds.map(figure).join(' | ')}`)
  const ratio = (what: string, of: (round: Round) => number | null) => {
    const ratios = rounds.map(of).filter((ratio) => ratio !== null)
    if (ratios.length > 0)
      console.log(`  ${asShare(median(ratios))} of ${what} (${ratios.map(asShare).join(', ')})`)
  }
  say('raw ffmpeg, the same sound and frames thrown away', ({ raw }) => show(raw))
  say('ingest, with an encoder that answers at once', ({ bare }) => show(bare))
  ratio('raw ffmpeg', ({ raw, bare }) => bare.clips / raw.clips)
  ratio('raw ffmpeg, by CPU time', ({ raw, bare }) => raw.cpuMs / bare.cpuMs)
  say('decode alone', ({ whole }) => show(whole.decoding))
  say('encode alone', ({ whole }) => show(whole.encoding))
  say('ingest', ({ ingest }) => show(ingest))
  ratio(
    'one stage after the other, each with all cores',
    ({ ingest, whole }) => ingest.clips / inRow(whole),
  )
  ratio('the slower stage with all cores', ({ ingest, whole }) => ingest.clips / slower(whole))
  say('decode alone, on the cores that the encoder leaves', ({ shares }) =>
    shares ? show(shares.decoding) : '-',
  )
  say('encode alone, on its own cores', ({ shares }) => (shares ? show(shares.encoding) : '-'))
  ratio(
    'the slower stage on its share of the cores',
    ({ ingest, shares }) => shares && ingest.clips / slower(shares),
  )
}

const inRow = ({ decoding, encoding }: Stages) => 1 / (1 / decoding.clips + 1 / encoding.clips)
const slower = ({ decoding, encoding }: Stages) => Math.min(decoding.clips, encoding.clips)

async function rateOfRaw(files: readonly string[], { encoder }: App): Promise<Rate> {
  const commands = await Promise.all(files.map((file) => rawCommand(file, encoder.bundle.format)))
  return await rate(commands, CORES, runRaw)
}

/** Measures each stage on all cores, and on its share of the cores if there are several. */
async function rateOfStages(
  files: readonly string[],
  app: App,
): Promise<{ whole: Stages; shares: Stages | null }> {
  const clips: MediaSegment[][] = []
  const decodeAll = () =>
    rate(
      files,
      filesAtOnce(app),
      async (file) => void clips.push(await decode(file, app.encoder.bundle.format)),
    )
  const whole = { decoding: await decodeAll(), encoding: await rateOfEncoding(clips, app, CORES) }
  const { threads } = app.config.encoder
  if (threads >= CORES) return { whole, shares: null }
  const encoding = await onCores(CORES - threads, CORES, () => rateOfEncoding(clips, app, threads))
  const decoding = await onCores(0, CORES - threads, decodeAll)
  return { whole, shares: encoding && decoding && { encoding, decoding } }
}

const filesAtOnce = ({ config }: App) => config.encoder.threads * FILES_PER_THREAD

async function decode(file: string, format: SegmentFormat): Promise<MediaSegment[]> {
  const segments = []
  await using opened = await OpenedFile.open(file)
  const media = await openMedia(opened, format)
  for await (const segment of media.segments()) segments.push(segment)
  return segments
}

async function rateOfEncoding(
  clips: readonly MediaSegment[][],
  app: App,
  threads: number,
): Promise<Rate> {
  await using encoder = await Encoder.open(app.encoder.bundle, {
    providers: app.config.encoder.providers,
    threads,
  })
  return await rate(clips, filesAtOnce(app), async (segments) => {
    for (const segment of segments)
      await encoder.encodeSegment(segment, { priority: 'ingest', tags: true })
  })
}

const rateOfBare = (files: readonly string[], app: App): Promise<Rate> =>
  rateOfIngestion(
    files,
    { ...app, encoder: nullEncoder(app.encoder.bundle), gallery: app.gallery },
    app,
  )

async function rateOfIngestion(
  files: readonly string[],
  { encoder, gallery, decoders }: IngestDeps,
  app: App,
): Promise<Rate> {
  const options = { concurrency: filesAtOnce(app), onWarning: console.error, onProgress: () => {} }
  return await rateOf(files.length, async () => {
    const { failed } = await ingestPaths(files, { encoder, gallery, decoders }, options)
    if (failed.length > 0) console.error(`${failed.length} of ${files.length} files failed`)
  })
}

// Measures the folders of the command line if this file is the program.
const [, script = '', ...folders] = process.argv
if (import.meta.url === pathToFileURL(script).href) {
  const files: string[] = []
  for await (const { path } of scan(folders, { onWarning: console.error })) files.push(path)
  await benchIngest(files)
}
