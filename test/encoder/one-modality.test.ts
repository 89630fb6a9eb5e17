import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { it, type TestContext } from 'node:test'
import type { App } from '../../src/app.js'
import type { Modality } from '../../src/domain/modality.js'
import { fingerprintOf, loadBundle } from '../../src/encoder/bundle.js'
import { measureEncoder } from '../../src/encoder/measure.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { search } from '../../src/search/search.js'
import { tagFile } from '../../src/tagging/tag.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'

/** Copies one modality of the tiny bundle. */
async function half(
  test: TestContext,
  modality: Modality,
  tagsFrom: readonly string[] = [modality],
): Promise<string> {
  const dir = join(await temporaryDir(test), modality)
  await cp(fixture('tiny-cavmae'), dir, { recursive: true })
  const [manifest, golden] = await Promise.all(
    ['bundle.json', 'golden.json'].map((file) => readJson(join(dir, file))),
  )
  const kept = Object.entries(manifest.graphs).filter(([graph]) => graph.startsWith(modality))
  const tagging = { ...manifest.tagging, from: tagsFrom }
  const halved = { ...manifest, graphs: Object.fromEntries(kept), tagging }
  await writeFile(
    join(dir, 'bundle.json'),
    JSON.stringify({ ...halved, fingerprint: fingerprintOf(halved) }),
  )
  await writeFile(
    join(dir, 'golden.json'),
    JSON.stringify({ atol: golden.atol, [modality]: golden[modality] }),
  )
  return dir
}

const readJson = async (file: string) => JSON.parse(await readFile(file, 'utf8'))

async function library(
  test: TestContext,
  modality: Modality,
  names: readonly string[],
): Promise<App> {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: await half(test, modality) })
  for (const name of names) await ingestFile(fixture(name), app)
  return app
}

const found = async (app: App, name: string) => {
  const { to, hits } = await search(
    { query: { kind: 'file', file: await opened(fixture(name)) }, limit: 5 },
    app,
  )
  return { to, files: hits.map(({ clip }) => basename(clip.path)) }
}

it('finds sounds by a sound and tags them, where the bundle hears alone', async (test) => {
  const app = await library(test, 'audio', ['guitar_cc0.mp4', 'sound_perc_bell.opus'])

  const { to, files } = await found(app, 'guitar_cc0.mp4')
  const { labels } = await tagFile(await opened(fixture('sound_perc_bell.opus')), app, { limit: 5 })
  const clips = await app.gallery.catalogue.counts()

  assert.equal(to, 'audio')
  assert.deepEqual(files, ['guitar_cc0.mp4', 'sound_perc_bell.opus'])
  assert.equal(labels.length, 5)
  assert.ok(
    clips.embeddings.audio > 0 && clips.embeddings.visual === 0,
    'of a video the sound is kept',
  )
  assert.ok((await measureEncoder(app.encoder)) > 0)
})

it('finds pictures by a picture, where the bundle sees alone', async (test) => {
  const app = await library(test, 'visual', ['guitar_cc0.mp4', 'photo_dog.webp'])

  const { to, files } = await found(app, 'photo_dog.webp')

  assert.equal(to, 'visual')
  assert.deepEqual(files, ['photo_dog.webp', 'guitar_cc0.mp4'])
})

it('refuses what the bundle does not take by a code of its own', async (test) => {
  const app = await library(test, 'audio', ['guitar_cc0.mp4'])
  const sound = { kind: 'file', file: await opened(fixture('guitar_cc0.mp4')) } as const
  const vector = new Float32Array(app.encoder.bundle.dimension).fill(1)
  const code = 'MODALITY_NOT_SERVED'

  await assert.rejects(found(app, 'photo_dog.webp'), { code, message: /photo_dog/ })
  await assert.rejects(search({ query: { ...sound, to: 'visual' }, limit: 5 }, app), { code })
  await assert.rejects(search({ query: { ...sound, from: 'visual' }, limit: 5 }, app), { code })
  await assert.rejects(
    search({ query: { kind: 'embedding', vector, from: 'visual' }, limit: 5 }, app),
    { code },
  )
  await assert.rejects(ingestFile(fixture('odd_no_audio.mp4'), app), { code })
  await assert.rejects(tagFile(await opened(fixture('photo_dog.webp')), app, { limit: 5 }), {
    code,
  })
})

it('needs no `from` for an embedding that can be of one modality only', async (test) => {
  const app = await library(test, 'audio', ['guitar_cc0.mp4'])
  const vector = new Float32Array(app.encoder.bundle.dimension).fill(1)

  const { query, to, hits } = await search({ query: { kind: 'embedding', vector }, limit: 5 }, app)

  assert.deepEqual([query.from, to, hits.length], ['audio', 'audio', 1])
})

it('refuses a bundle without a graph that it needs for tags or golden numbers', async (test) => {
  const none = await half(test, 'audio')
  await writeFile(
    join(none, 'bundle.json'),
    JSON.stringify({ ...(await readJson(join(none, 'bundle.json'))), graphs: {} }),
  )
  const unheard = await half(test, 'audio')
  await writeFile(join(unheard, 'golden.json'), JSON.stringify({ atol: 1e-3 }))

  await assert.rejects(loadBundle(none), {
    code: 'BUNDLE_INVALID',
    message: /neither an audio nor a visual graph/,
  })
  await assert.rejects(loadBundle(unheard), { code: 'BUNDLE_INVALID', message: /golden\.json/ })
  await assert.rejects(half(test, 'visual', ['audio']).then(loadBundle), {
    code: 'BUNDLE_INVALID',
    message: /audio graph/,
  })
})
