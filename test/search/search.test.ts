import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { App } from '../../src/app.js'
import { MODALITIES } from '../../src/domain/modality.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { resolveDirection } from '../../src/search/query.js'
import { search } from '../../src/search/search.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp } from '../workplace.js'

const LIBRARY = [
  'drums_africa_pd_photo_tabla_cc0.mp4',
  'orchestra_pd_photo_choir_cc0.mp4',
  'guitar_cc0.mp4',
  'photo_dog.webp',
  'photo_cat.webp',
  'sound_guit_e_slide.opus',
  'sound_drum_cymbal_open.opus',
  'odd_no_audio.mp4',
]

describe('search', () => {
  let app: App
  const cleanups: (() => unknown)[] = []

  before(async () => {
    app = await temporaryApp({ after: (cleanup: () => unknown) => void cleanups.unshift(cleanup) })
    for (const name of LIBRARY) await ingestFile(fixture(name), app)
  })
  after(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  const names = (hits: readonly { clip: { path: string } }[]) =>
    hits.map(({ clip }) => clip.path.split('/').at(-1))
  const clipAt = async (name: string) => {
    const clip = await app.gallery.catalogue.clipAt(fixture(name))
    assert.ok(clip)
    return clip
  }

  it('finds the picture that goes with a sound', async () => {
    const query = { kind: 'file', file: await opened(fixture('sound_guit_e_slide.opus')) } as const

    const { to, hits } = await search({ query, limit: 3 }, app)

    assert.equal(to, 'visual')
    assert.equal(names(hits)[0], 'guitar_cc0.mp4')
  })

  it('finds the sounds that go with a silent video', async () => {
    const { query, to, hits } = await search(
      { query: { kind: 'file', file: await opened(fixture('odd_no_audio.mp4')) }, limit: 10 },
      app,
    )

    assert.deepEqual({ from: query.from, to }, { from: 'visual', to: 'audio' })
    assert.ok(hits.length > 0 && hits.every(({ clip }) => clip.hasAudio))
  })

  it('answers in the shape that is promised', async () => {
    const { id } = await clipAt('guitar_cc0.mp4')

    const { query, bundle, hits, timings } = await search(
      { query: { kind: 'clip', id, to: 'visual' }, limit: 2 },
      app,
    )

    assert.deepEqual(bundle, {
      name: app.encoder.bundle.name,
      fingerprint: app.encoder.bundle.fingerprint,
    })
    assert.deepEqual(
      hits.map(({ rank }) => rank),
      [1, 2],
    )
    assert.ok((hits[0]?.score ?? 0) >= (hits[1]?.score ?? 0))
    assert.equal(hits[0]?.score, hits[0]?.moments[0]?.score)
    assert.deepEqual(Object.keys(timings), ['decodeMs', 'encodeMs', 'searchMs'])
    assert.ok((query.seconds ?? 0) > 4)
  })

  it('answers a clip of the library as it answers its file', async () => {
    const { id, path } = await clipAt('guitar_cc0.mp4')

    const byId = await search({ query: { kind: 'clip', id, from: 'audio' }, limit: 5 }, app)
    const byFile = await search(
      { query: { kind: 'file', file: await opened(path), from: 'audio' }, limit: 5 },
      app,
    )

    assert.deepEqual(names(byId.hits), names(byFile.hits))
  })

  it('takes a range of a clip', async () => {
    const { id } = await clipAt('drums_africa_pd_photo_tabla_cc0.mp4')

    const { query } = await search(
      { query: { kind: 'clip', id, from: 'audio', range: { start: 2, end: 5 } }, limit: 1 },
      app,
    )

    assert.ok(Math.abs((query.seconds ?? 0) - 3) < 0.2, `${query.seconds} s`)
  })

  it('works in all four directions, and leaves a clip out of its own modality only', async () => {
    const { id } = await clipAt('drums_africa_pd_photo_tabla_cc0.mp4')

    for (const from of MODALITIES) {
      for (const to of MODALITIES) {
        const { hits } = await search({ query: { kind: 'clip', id, from, to }, limit: 20 }, app)

        assert.equal(
          hits.some(({ clip }) => clip.id === id),
          from !== to,
          `${from} to ${to}`,
        )
        assert.ok(hits.every(({ clip }) => (to === 'audio' ? clip.hasAudio : clip.hasVisual)))
      }
    }
  })

  it('searches by an embedding of any length', async () => {
    const { id } = await clipAt('guitar_cc0.mp4')
    const [embedding] = await app.gallery.catalogue.embeddings(id, 'audio')
    assert.ok(embedding)
    const vector = embedding.map((value) => value * 7)

    const { hits } = await search(
      { query: { kind: 'embedding', vector, from: 'audio', to: 'audio' }, limit: 1 },
      app,
    )

    assert.equal(hits[0]?.clip.id, id)
    assert.ok(Math.abs((hits[0]?.score ?? 0) - 1) < 1e-3)
  })

  it('refuses an embedding of another size or another bundle', async () => {
    const query = { kind: 'embedding', vector: new Float32Array(3).fill(1), from: 'audio' } as const

    await assert.rejects(search({ query, limit: 1 }, app), { code: 'EMBEDDING_SIZE' })
    await assert.rejects(search({ query: { ...query, fingerprint: 'f00d' }, limit: 1 }, app), {
      code: 'FINGERPRINT_MISMATCH',
    })
  })

  it('asks what is wanted when a query has both', async () => {
    const query = { kind: 'file', file: await opened(fixture('guitar_cc0.mp4')) } as const

    await assert.rejects(search({ query, limit: 1 }, app), { code: 'QUERY_AMBIGUOUS' })
  })

  it('says what a query lacks', async () => {
    const query = {
      kind: 'file',
      file: await opened(fixture('photo_dog.webp')),
      from: 'audio',
    } as const

    await assert.rejects(search({ query, limit: 1 }, app), { code: 'QUERY_LACKS_MODALITY' })
    await assert.rejects(search({ query: { kind: 'clip', id: 'nobody' }, limit: 1 }, app), {
      code: 'CLIP_NOT_FOUND',
    })
  })
})

it('settles the direction from what there is', () => {
  const sound = (modality: string) => modality === 'audio'
  const both = () => true

  assert.deepEqual(resolveDirection({}, sound, MODALITIES), { from: 'audio', to: 'visual' })
  assert.deepEqual(resolveDirection({ to: 'audio' }, sound, MODALITIES), {
    from: 'audio',
    to: 'audio',
  })
  assert.deepEqual(resolveDirection({ to: 'audio' }, both, MODALITIES), {
    from: 'visual',
    to: 'audio',
  })
  assert.deepEqual(resolveDirection({ from: 'audio' }, both, MODALITIES), {
    from: 'audio',
    to: 'visual',
  })
  assert.throws(() => resolveDirection({}, both, MODALITIES), { code: 'QUERY_AMBIGUOUS' })
  assert.throws(() => resolveDirection({ from: 'visual' }, sound, MODALITIES), {
    code: 'QUERY_LACKS_MODALITY',
  })
})
