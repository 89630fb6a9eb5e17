import type { Encoder } from './encoder.js'
import { goldenFrame, goldenSamples } from './golden.js'

const SEGMENTS = 8

/**
 * Returns the segments per second on the provider in use, each with audio and all frames that the
 * bundle supports.
 */
export async function measureEncoder(encoder: Encoder): Promise<number> {
  const { format } = encoder.bundle
  const samples = format.modalities.includes('audio')
    ? goldenSamples(format.audio.samples, format)
    : null
  const count = format.modalities.includes('visual') ? format.visual.framesPerSegment : 0
  const frame = goldenFrame(format)
  const options = { priority: 'ingest', tags: true } as const
  const segment = { samples, frames: Array.from({ length: count }, () => frame) }
  const started = performance.now()
  await Promise.all(Array.from({ length: SEGMENTS }, () => encoder.encodeSegment(segment, options)))
  return (SEGMENTS * 1000) / (performance.now() - started)
}
