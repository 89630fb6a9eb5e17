import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PACKAGE_DIR } from '../src/config.js'
import type { MediaSegment } from '../src/domain/segment-format.js'
import { embed, noTimings } from '../src/embed/embed.js'
import { loadBundle } from '../src/encoder/bundle.js'
import { Encoder } from '../src/encoder/encoder.js'
import { goldenFrame, goldenSamples } from '../src/encoder/golden.js'

const INGEST = { priority: 'ingest', tags: true } as const

/** Creates media that decodes to the given segments. */
function mediaOf(segments: readonly MediaSegment[], fail?: Error) {
  return {
    kind: 'video' as const,
    statedSeconds: null,
    outcome: { seconds: 0, notes: [], audible: true, visible: true },
    async *segments() {
      yield* segments
      if (fail) throw fail
    },
  }
}

describe('embed', () => {
  let encoder: Encoder
  let samples: Float32Array
  let ramp: Uint8Array
  let inverse: Uint8Array

  before(async () => {
    encoder = await Encoder.open(await loadBundle(join(PACKAGE_DIR, 'models', 'starter')), {
      providers: ['cpu'],
      threads: 2,
    })
    const { format } = encoder.bundle
    samples = goldenSamples(32_000, format)
    ramp = goldenFrame(format)
    inverse = Uint8Array.from({ length: ramp.length }, (_, i) =>
      i % 3 === 0 ? 200 : (i * i) % 251,
    )
  })
  after(() => encoder[Symbol.asyncDispose]())

  it('makes one embedding of length 1 of all frames of a segment', async () => {
    const media = mediaOf([{ start: 0, end: 2, samples: null, frames: [ramp, inverse] }])
    const { value: frames } = await embed(media, encoder, INGEST).next()
    const one = await encoder.encodeFrame(ramp, INGEST)
    const two = await encoder.encodeFrame(inverse, INGEST)

    assert.ok(frames?.visual)
    assert.equal(frames.audio, null)
    assert.ok(Math.abs(Math.hypot(...frames.visual.embedding) - 1) < 1e-5)
    const sum = one.embedding.map((value, i) => value + (two.embedding[i] ?? 0))
    const length = Math.hypot(...sum)
    assert.ok(length < 1.99, 'the frames differ')
    sum.forEach((value, i) => {
      assert.ok(Math.abs(value / length - (frames.visual?.embedding[i] ?? 0)) < 1e-5)
    })
    const probability = (logits: Float32Array | null) => 1 / (1 + Math.exp(-(logits?.[0] ?? NaN)))
    const mean = (probability(one.logits) + probability(two.logits)) / 2
    assert.ok(Math.abs(mean - (frames.visual.probabilities?.[0] ?? NaN)) < 1e-6)
  })

  it('keeps segments in order of time, and what they lack as null', async () => {
    const segments = Array.from({ length: 9 }, (_, i) => ({
      start: i * 10,
      end: i * 10 + 10,
      samples: i % 2 ? samples : null,
      frames: i % 3 ? [] : [ramp],
    }))
    const timings = noTimings()

    const embedded = []
    for await (const segment of embed(mediaOf(segments), encoder, { ...INGEST, timings }))
      embedded.push(segment)

    assert.deepEqual(
      embedded.map(({ start, audio, visual }) => [start, audio !== null, visual !== null]),
      segments.map(({ start, samples, frames }) => [start, samples !== null, frames.length > 0]),
    )
    assert.ok(timings.encodeMs > 0)
  })

  it('passes on what went wrong while decoding, and while encoding', async () => {
    const segment = { start: 0, end: 10, samples, frames: [] }
    const wrong = { ...segment, samples: new Float32Array(100).fill(NaN) }
    const drain = async (media: ReturnType<typeof mediaOf>) => {
      for await (const _ of embed(media, encoder, INGEST));
    }

    await assert.rejects(drain(mediaOf([segment], new Error('cut'))), /cut/)
    await assert.rejects(drain(mediaOf([segment, wrong, segment])), { code: 'ENCODER_FAILED' })
  })
})
