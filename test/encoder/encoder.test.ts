import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PACKAGE_DIR } from '../../src/config.js'
import { type Bundle, loadBundle } from '../../src/encoder/bundle.js'
import { Encoder } from '../../src/encoder/encoder.js'
import { goldenFrame, goldenSamples } from '../../src/encoder/golden.js'
import { SHIPPED } from '../workplace.js'

const QUERY = { priority: 'query' } as const
const TAGS = { ...QUERY, tags: true } as const
const cosine = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)

for (const name of SHIPPED)
  describe(`the encoder on the bundle ${name}`, () => {
    let bundle: Bundle
    let encoder: Encoder

    before(async () => {
      bundle = await loadBundle(join(PACKAGE_DIR, 'models', name))
      encoder = await Encoder.open(bundle, { providers: ['cpu'], threads: 2 })
    })
    after(() => encoder[Symbol.asyncDispose]())

    it('answers embeddings of length 1, and a logit for each class where it tags', async () => {
      const sound = await encoder.encodeAudio(goldenSamples(48_000, bundle.format), TAGS)
      const frame = await encoder.encodeFrame(goldenFrame(bundle.format), TAGS)

      for (const { embedding, logits } of [sound, frame]) {
        assert.equal(embedding.length, bundle.dimension)
        assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-4)
        assert.equal(logits?.length ?? 0, bundle.classes.length)
      }
    })

    it('answers no logits where none are asked for', async () => {
      const { logits } = await encoder.encodeFrame(goldenFrame(bundle.format), QUERY)

      assert.equal(logits, null)
    })

    it('answers the same whoever shares the batch', async () => {
      const sounds = [0.01, 0.2, 1].map((share) =>
        goldenSamples(share * bundle.format.audio.samples, bundle.format),
      )

      const alone = []
      for (const sound of sounds) alone.push(await encoder.encodeAudio(sound, QUERY))
      const together = await Promise.all(sounds.map((sound) => encoder.encodeAudio(sound, QUERY)))

      alone.forEach(({ embedding }, i) => {
        assert.ok(cosine(embedding, together[i]?.embedding ?? embedding.map(() => 0)) > 0.99999)
      })
    })

    it('encodes a frame once that comes again, in a segment and in the next', async (test) => {
      const frames = [goldenFrame(bundle.format)]
      const encodeFrame = test.mock.method(encoder, 'encodeFrame')

      const alone = await encoder.encodeSegment(
        { samples: null, frames: [goldenFrame(bundle.format)] },
        TAGS,
      )
      const first = await encoder.encodeSegment(
        { samples: null, frames: [...frames, ...frames] },
        TAGS,
      )
      const second = await encoder.encodeSegment({ samples: null, frames }, TAGS)

      assert.equal(encodeFrame.mock.callCount(), 2)
      assert.equal(first.frames.length, 2)
      for (const frame of [...first.frames, ...second.frames])
        assert.deepEqual(frame, alone.frames[0])
    })

    it('reports the provider in use, and why another was not', async () => {
      await using second = await Encoder.open(bundle, { providers: ['cuda', 'cpu'], threads: 1 })

      assert.equal(
        second.providers.inUse === 'cuda' || second.providers.refused[0]?.provider === 'cuda',
        true,
      )
    })

    it('drops what is aborted while it waits', async () => {
      const abort = new AbortController()
      const whole = goldenSamples(bundle.format.audio.samples, bundle.format)
      const running = encoder.encodeAudio(whole, QUERY)
      const waiting = encoder.encodeAudio(whole, { ...QUERY, signal: abort.signal })
      abort.abort(new Error('nobody waits'))

      await assert.rejects(waiting, /nobody waits/)
      await running
    })

    it('refuses input of the wrong size', async () => {
      await assert.rejects(encoder.encodeAudio(new Float32Array(0), QUERY), RangeError)
      await assert.rejects(encoder.encodeFrame(new Uint8Array(5), QUERY), RangeError)
    })

    it('refuses a sound that contains no numbers, and keeps working', async () => {
      await assert.rejects(encoder.encodeAudio(new Float32Array(16_000).fill(NaN), QUERY), {
        code: 'ENCODER_FAILED',
      })

      const { embedding } = await encoder.encodeAudio(goldenSamples(16_000, bundle.format), QUERY)
      assert.equal(embedding.length, bundle.dimension)
    })

    it('refuses a bundle whose golden numbers it does not reproduce', async () => {
      const { audio, visual } = bundle.golden
      assert.ok(audio && visual)
      const off = (numbers: readonly number[]) =>
        numbers.map((value, i) => (i === 7 ? value + 0.1 : value))
      const wrongs = [
        { audio: { ...audio, embedding: off(audio.embedding) } },
        ...(visual.logits ? [{ visual: { ...visual, logits: off(visual.logits) } }] : []),
        { visual: { ...visual, embedding: visual.embedding.slice(1) } },
      ]

      for (const wrong of wrongs) {
        const golden = { ...bundle.golden, ...wrong }
        const opening = Encoder.open({ ...bundle, golden }, { providers: ['cpu'], threads: 1 })
        await assert.rejects(opening, { code: 'BUNDLE_INVALID' })
      }
    })

    it('rejects what waits when it is closed', async () => {
      const closing = await Encoder.open(bundle, { providers: ['cpu'], threads: 1 })
      const waiting = Array.from({ length: 20 }, () =>
        closing.encodeFrame(goldenFrame(bundle.format), QUERY),
      )
      const outcome = Promise.allSettled(waiting)
      await closing[Symbol.asyncDispose]()

      assert.ok((await outcome).some(({ status }) => status === 'rejected'))
      assert.equal(closing.isAvailable, false)
      await assert.rejects(closing.encodeFrame(goldenFrame(bundle.format), QUERY), {
        code: 'ENCODER_FAILED',
      })
    })
  })
