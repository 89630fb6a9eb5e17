import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type EmbeddedSegment, embed } from '../../src/embed/embed.js'
import { type Bundle, loadBundle } from '../../src/encoder/bundle.js'
import { Encoder } from '../../src/encoder/encoder.js'
import { goldenFrame, goldenSamples } from '../../src/encoder/golden.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { openMedia } from '../../src/media/media.js'
import { search } from '../../src/search/search.js'
import { tagFile } from '../../src/tagging/tag.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'

const QUERY = { priority: 'query' } as const
const TAGS = { ...QUERY, tags: true } as const
const CPU = { providers: ['cpu'], threads: 1 } as const

const worst = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? NaN))))

describe('a bundle that tags sound and picture together', () => {
  let bundle: Bundle
  let encoder: Encoder
  let sound: Float32Array
  let frames: Uint8Array[]

  before(async () => {
    bundle = await loadBundle(fixture('tiny-cavmae'))
    encoder = await Encoder.open(bundle, CPU)
    sound = goldenSamples(9_000, bundle.format)
    const frame = goldenFrame(bundle.format)
    frames = [frame, frame.map((value) => 255 - value)]
  })
  after(() => encoder[Symbol.asyncDispose]())

  it('answers logits of the sound with each frame', async () => {
    const { joint } = await encoder.encodeSegment({ samples: sound, frames }, TAGS)

    assert.equal(joint.length, 2)
    const [first, second] = joint
    assert.ok(first && second && first.length === bundle.classes.length)
    assert.ok(worst(first, second) > 1e-3, 'the frames differ')
    for (const [i, frame] of frames.entries()) {
      const alone = await encoder.encodeSegment({ samples: sound, frames: [frame] }, TAGS)
      assert.ok(
        worst(joint[i] ?? first, alone.joint[0] ?? second) < 1e-4,
        `frame ${i} alone and with the other`,
      )
    }
  })

  it('answers the embeddings that each modality has by itself', async () => {
    const { audio, frames: seen } = await encoder.encodeSegment({ samples: sound, frames }, TAGS)

    const heard = await encoder.encodeAudio(sound, QUERY)
    assert.ok(audio && worst(audio.embedding, heard.embedding) < 1e-5)
    for (const [i, frame] of frames.entries()) {
      const { embedding } = await encoder.encodeFrame(frame, QUERY)
      assert.ok(worst(embedding, seen[i]?.embedding ?? new Float32Array(1)) < 1e-5)
    }
  })

  it('tags frames by the tagging graph where the retrieval graph cannot', async () => {
    const { audio_tagging, visual_tagging, ...shared } = bundle.graphs
    const untagging = { ...bundle, graphs: shared, tagsFrom: ['audio'] as const }
    const { joint: _, visual, ...golden } = bundle.golden
    assert.ok(visual)
    const plain = { embedding: visual.embedding }
    await using other = await Encoder.open(
      { ...untagging, golden: { ...golden, visual: plain } },
      CPU,
    )

    const [frame = new Uint8Array()] = frames

    assert.equal((await other.encodeFrame(frame, TAGS)).logits, null)
    assert.equal((await encoder.encodeFrame(frame, TAGS)).logits?.length, bundle.classes.length)
  })

  it('tags one modality by its own logits, and nothing where nothing is asked', async () => {
    const soundOnly = await encoder.encodeSegment({ samples: sound, frames: [] }, TAGS)
    const framesOnly = await encoder.encodeSegment({ samples: null, frames }, TAGS)
    const untagged = await encoder.encodeSegment({ samples: sound, frames }, QUERY)

    assert.equal(soundOnly.audio?.logits?.length, bundle.classes.length)
    assert.deepEqual(soundOnly.joint, [])
    assert.equal(framesOnly.audio, null)
    assert.equal(framesOnly.frames[1]?.logits?.length, bundle.classes.length)
    assert.deepEqual(untagged.joint, [])
    assert.equal(untagged.audio?.logits, null)
  })

  it('lets a query overtake segments, and drops a segment that nobody waits for', async () => {
    const abort = new AbortController()
    const order: string[] = []
    const segment = (name: string, signal?: AbortSignal) =>
      encoder
        .encodeSegment({ samples: sound, frames }, { priority: 'ingest', tags: true, signal })
        .then(() => order.push(name))
    const running = segment('running')
    const waiting = segment('waiting')
    const dropped = segment('dropped', abort.signal)
    const query = encoder.encodeAudio(sound, QUERY).then(() => order.push('query'))
    abort.abort(new Error('nobody waits'))

    await assert.rejects(dropped, /nobody waits/)
    await Promise.all([running, waiting, query])
    assert.deepEqual(order, ['running', 'query', 'waiting'])
  })

  it('refuses joint logits that are not the golden ones', async () => {
    const { golden } = bundle
    const logits = golden.joint?.logits?.map((value, i) => (i === 2 ? value + 1 : value)) ?? []

    const opening = Encoder.open({ ...bundle, golden: { ...golden, joint: { logits } } }, CPU)

    await assert.rejects(opening, { code: 'BUNDLE_INVALID', message: /The joint graph/ })
  })

  it('refuses a bundle that takes tags from a joint graph it lacks', async (test) => {
    const dir = join(await temporaryDir(test), 'bundle')
    await cp(fixture('tiny-cavmae'), dir, { recursive: true })
    const file = join(dir, 'bundle.json')
    const { graphs, ...manifest } = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...manifest, graphs: { ...graphs, joint: undefined } }))

    await assert.rejects(loadBundle(dir), { code: 'BUNDLE_INVALID', message: /joint/ })
  })

  it('serves the whole road: index, tags, search', async (test) => {
    const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
    for (const name of ['guitar_cc0.mp4', 'odd_no_audio.mp4', 'sound_perc_bell.opus']) {
      await ingestFile(fixture(name), app)
    }

    const { segments } = await tagFile(await opened(fixture('guitar_cc0.mp4')), app, { limit: 5 })
    const [joint] = await embedAll('guitar_cc0.mp4', app.encoder)
    const { hits } = await search(
      { query: { kind: 'file', file: await opened(fixture('sound_perc_bell.opus')) }, limit: 5 },
      app,
    )

    assert.ok(joint?.joint && joint.audio && joint.visual)
    for (const { mid, probability } of segments[0]?.labels ?? []) {
      const at = app.encoder.bundle.classes.findIndex((known) => known.mid === mid)
      assert.ok(
        Math.abs(probability - (joint.joint[at] ?? NaN)) < 1e-4,
        `${mid} is tagged by both together`,
      )
    }
    assert.equal(segments[0]?.labels.length, 5)
    assert.deepEqual(
      new Set(hits.map(({ clip }) => basename(clip.path))),
      new Set(['guitar_cc0.mp4', 'odd_no_audio.mp4']),
    )
    assert.equal((await app.gallery.check()).whole, true)
  })
})

async function embedAll(name: string, encoder: Encoder): Promise<EmbeddedSegment[]> {
  const media = await openMedia(await opened(fixture(name)), encoder.bundle.format, {})
  const segments = []
  for await (const segment of embed(media, encoder, TAGS)) segments.push(segment)
  return segments
}
