/**
 * Runs one step of bench/gpu.sh. A step has its own process, because a faulty library can crash it:
 *
 *   gpu.js open <provider> <bundle> <result.json>            opens the graphs with the provider
 *   gpu.js golden <provider> <bundle> <result.json>          compares with the golden numbers
 *   gpu.js time <provider> <bundle> <result.json> [batch …]  measures ms by kind and batch
 *   gpu.js report <folder>                                   writes report.json and report.txt
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { env } from 'onnxruntime-node'
import { PROVIDERS, type Provider } from '../src/config.js'
import { assemble } from '../src/encoder/batch.js'
import { type Bundle, loadBundle } from '../src/encoder/bundle.js'
import { goldenFrame, goldenSamples } from '../src/encoder/golden.js'
import { runBatch } from '../src/encoder/run-batch.js'
import { openSessions, type Sessions } from '../src/encoder/session.js'
import { disableTelemetry } from '../src/encoder/telemetry.js'
import { items, timed } from './encode.js'
import { writeReport } from './gpu-report.js'
import type { GoldenRow, TimeRow } from './gpu-results.js'
import { median } from './statistics.js'

const WARM_UPS = 2
const ROUNDS = { least: 3, most: 30 }
const BATCH_MS = 2000 // total of the rounds after the minimum number

const [command, ...rest] = process.argv.slice(2)
disableTelemetry()
env.logLevel = 'error' // only the log names the library that a provider lacks
if (command === 'report' && rest[0]) writeReport(rest[0])
else if (command === 'open') write((await open(rest)).result, [])
else if (command === 'golden') await golden(await open(rest))
else if (command === 'time') await time(await open(rest), rest.slice(3).map(Number))
else throw new Error(`Expected open, golden, time or report, got ${command}`)

interface Opened {
  readonly bundle: Bundle
  readonly sessions: Sessions
  readonly result: string
}

async function open([provider, dir, result]: readonly string[]): Promise<Opened> {
  const known = PROVIDERS.find((name) => name === provider) as Provider | undefined
  if (!known || !dir || !result)
    throw new Error(`Expected one of ${PROVIDERS.join(', ')}, a bundle and a file for the result`)
  const bundle = await loadBundle(dir)
  const threads = availableParallelism()
  const opened = await openSessions({ graphs: bundle.graphs, providers: [known], threads })
  if (!opened.sessions) {
    console.error(opened.refused.map(({ reason }) => reason).join('\n'))
    process.exit(1)
  }
  return { bundle, sessions: opened.sessions, result }
}

async function golden({ bundle, sessions, result }: Opened): Promise<void> {
  const { golden, format } = bundle
  const rows: GoldenRow[] = []
  for (const modality of format.modalities) {
    const expected = golden[modality]
    if (!expected) continue
    const heard = modality === 'audio'
    const item = {
      kind: heard ? ('sound' as const) : ('frame' as const),
      tags: true,
      samples: heard ? goldenSamples(golden.audio?.length ?? 0, format) : null,
      frames: heard ? [] : [goldenFrame(format)],
    }
    const { audio, frames } = await runBatch(sessions, assemble([item], format).batch)
    const actual = heard ? audio : frames
    const pairs = { embedding: actual?.embeddings, logits: actual?.logits }
    for (const output of ['embedding', 'logits'] as const) {
      const [numbers, wanted] = [pairs[output], expected[output]]
      if (!wanted || !numbers) continue
      const atol = output === 'logits' ? 50 * golden.atol : golden.atol // as checkGolden allows
      rows.push({ modality, output, atol, ...compare(numbers, wanted) })
    }
  }
  write(result, rows)
}

function compare(actual: Float32Array, expected: readonly number[]) {
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0)
  return {
    cosine: dot(actual, expected) / Math.sqrt(dot(actual, actual) * dot(expected, expected)),
    maxDifference: expected.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (actual[i] ?? NaN))),
      0,
    ),
  }
}

/** Runs the largest batch second. TensorRT builds an engine for the batch sizes it has seen. */
async function time({ bundle, sessions, result }: Opened, batches: readonly number[]) {
  const [first = 1, ...others] = batches
  const rows: TimeRow[] = []
  for (const kind of ['sound', 'frame'] as const) {
    if (!bundle.format.modalities.includes(kind === 'sound' ? 'audio' : 'visual')) continue
    for (const batch of new Set([first, ...others.slice(-1), ...others])) {
      const { batch: input } = assemble(items(kind, batch, bundle.format, false), bundle.format)
      const run = () => timed(() => runBatch(sessions, input))
      const firstMs = await run()
      for (let round = 0; round < WARM_UPS; round++) await run()
      const times: number[] = []
      const started = performance.now()
      while (
        times.length < ROUNDS.least ||
        (times.length < ROUNDS.most && performance.now() - started < BATCH_MS)
      )
        times.push(await run())
      rows.push({ kind, batch, firstMs, ms: median(times), rounds: times.length })
      write(result, rows) // after each batch size, so that a stopped step keeps its results
    }
  }
}

function write(file: string, rows: readonly (GoldenRow | TimeRow)[]): void {
  writeFileSync(file, `${JSON.stringify(rows, null, 1)}\n`)
}
