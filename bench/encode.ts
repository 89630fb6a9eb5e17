import { cpus } from 'node:os'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../src/config.js'
import type { Modality, SegmentFormat } from '../src/domain.js'
import { loadBundle } from '../src/encoder/bundle.js'
import { goldenFrame, goldenSamples } from '../src/encoder/golden.js'
import type { BatchInput } from '../src/encoder/protocol.js'
import { openSessions, runBatch } from '../src/encoder/session.js'
import { median } from './statistics.js'

const BATCHES = [1, 4, 8, 16]
const ROUNDS = 15

/** Milliseconds an item by modality and batch, front end included; the median of rounds, on one thread and on all. */
export async function benchEncode(): Promise<void> {
  const bundle = await loadBundle(join(PACKAGE_DIR, 'models', 'starter'))
  for (const threads of new Set([1, cpus().length])) {
    const { sessions } = await openSessions({ graphs: bundle.graphs, providers: ['cpu'], threads })
    if (!sessions) throw new Error('The CPU provider refuses the bundle')
    for (const modality of ['audio', 'visual'] as const) {
      const figures = []
      for (const batch of BATCHES) {
        const items = input(modality, batch, bundle.format)
        const times = []
        for (let round = 0; round < ROUNDS; round++) {
          times.push(await timed(() => runBatch(sessions, items)))
        }
        figures.push(`batch ${batch}: ${(median(times) / batch).toFixed(1)}`)
      }
      console.log(`encode ${modality}, ${threads} threads, ms an item: ${figures.join('  ')}`)
    }
  }
}

function input(modality: Modality, batch: number, format: SegmentFormat): BatchInput {
  if (modality === 'audio') {
    const sound = goldenSamples(format.audio.samples, format)
    const samples = new Float32Array(batch * sound.length)
    for (let i = 0; i < batch; i++) samples.set(sound, i * sound.length)
    return { modality, samples, lengths: Array.from({ length: batch }, () => sound.length) }
  }
  const frame = goldenFrame(format)
  const frames = new Uint8Array(batch * frame.length)
  for (let i = 0; i < batch; i++) frames.set(frame, i * frame.length)
  return { modality, frames, shape: [batch, format.visual.height, format.visual.width] }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}
