import { cpus } from 'node:os'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../src/config.js'
import type { SegmentFormat } from '../src/domain/segment-format.js'
import { assemble, type BatchItem } from '../src/encoder/batch.js'
import { loadBundle } from '../src/encoder/bundle.js'
import { goldenFrame, goldenSamples } from '../src/encoder/golden.js'
import { runBatch } from '../src/encoder/run-batch.js'
import { openSessions } from '../src/encoder/session.js'
import { median } from './statistics.js'

const BATCHES = [1, 4, 8, 16]
const ROUNDS = 15

/**
 * Measures milliseconds per item by kind and batch, with preprocessing. Prints the median of the
 * rounds on one thread and on all threads.
 */
export async function benchEncode(): Promise<void> {
  const bundle = await loadBundle(join(PACKAGE_DIR, 'models', 'starter'))
  for (const threads of new Set([1, cpus().length])) {
    const { sessions } = await openSessions({ graphs: bundle.graphs, providers: ['cpu'], threads })
    if (!sessions) throw new Error('The CPU provider refuses the bundle')
    for (const kind of ['sound', 'frame'] as const) {
      const figures = []
      for (const batch of BATCHES) {
        const { batch: input } = assemble(items(kind, batch, bundle.format, true), bundle.format)
        const times = []
        for (let round = 0; round < ROUNDS; round++) {
          times.push(await timed(() => runBatch(sessions, input)))
        }
        figures.push(`batch ${batch}: ${(median(times) / batch).toFixed(1)}`)
      }
      console.log(`encode ${kind}s, ${threads} threads, ms an item: ${figures.join('  ')}`)
    }
  }
}

/** Repeats the golden sound or frame. */
export function items(
  kind: 'sound' | 'frame',
  count: number,
  format: SegmentFormat,
  tags: boolean,
): BatchItem[] {
  const samples = kind === 'sound' ? goldenSamples(format.audio.samples, format) : null
  const frames = kind === 'frame' ? [goldenFrame(format)] : []
  return Array.from({ length: count }, () => ({ kind, tags, samples, frames }))
}

/** Returns the duration of work in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}
