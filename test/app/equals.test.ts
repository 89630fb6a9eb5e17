import assert from 'node:assert/strict'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { backUp, restore } from '../../src/app/backup.js'
import { openReindex } from '../../src/app/open-reindex.js'
import { openApp } from '../../src/app.js'
import { fingerprintOf } from '../../src/encoder/bundle.js'
import { Manifest } from '../../src/encoder/manifest.js'
import { readHeader } from '../../src/gallery/sqlite/header.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { search } from '../../src/search/search.js'
import { opened } from '../opened.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'

/** Returns the small bundle and a copy with equal embeddings and another fingerprint. */
async function twoBundles(test: TestContext, equals: boolean) {
  const dir = await temporaryDir(test)
  const [before, after] = [fixture('tiny-cavmae'), join(dir, 'after')]
  await cp(before, after, { recursive: true })
  const file = join(after, 'bundle.json')
  const manifest = Manifest.parse(JSON.parse(await readFile(file, 'utf8')))
  // The graph is the same. Its file name, which is part of the fingerprint, is different.
  await cp(join(after, 'audio.onnx'), join(after, 'sound.onnx'))
  const audio = { ...manifest.graphs.audio, file: 'sound.onnx' }
  const changed = { ...manifest, graphs: { ...manifest.graphs, audio } } as typeof manifest
  const fingerprint = fingerprintOf(changed)
  const list = equals ? { fingerprint, earlier: [manifest.fingerprint] } : undefined
  await writeFile(file, JSON.stringify({ ...changed, fingerprint, equals: list }))
  return { dir, before, after, old: manifest.fingerprint, fingerprint }
}

it('opens a library of an equal fingerprint as it is, and gives it the new one', async (test) => {
  const { dir, before, after, old, fingerprint } = await twoBundles(test, true)
  const data = join(dir, 'data')
  const config = (bundle: string) => testConfig(data, { EARSHOT_BUNDLE: bundle })
  const ask = {
    query: { kind: 'file', file: await opened(fixture('sound_perc_bell.opus')) },
    limit: 5,
  } as const
  const made = await (async () => {
    await using app = await openApp(config(before))
    for (const name of ['guitar_cc0.mp4', 'photo_dog.webp']) await ingestFile(fixture(name), app)
    const { hits } = await search(ask, app)
    await backUp(app.config, join(dir, 'copy'))
    const vectors = await app.gallery.catalogue.embeddings(hits[0]?.clip.id ?? '', 'visual')
    return { hits, vector: vectors[0] as Float32Array }
  })()

  await using app = await openApp(config(after))
  const again = await search(ask, app)
  const byVector = {
    kind: 'embedding',
    vector: made.vector,
    fingerprint: old,
    from: 'visual',
  } as const

  assert.deepEqual(again.hits, made.hits)
  assert.equal(again.bundle.fingerprint, fingerprint)
  assert.equal((await search({ query: byVector, limit: 1 }, app)).hits.length, 1)
  await assert.rejects(openReindex(config(after), after), { code: 'USAGE' })

  const elsewhere = testConfig(join(dir, 'restored'), { EARSHOT_BUNDLE: after })
  await restore(elsewhere, join(dir, 'copy'), { force: false })
  await using restored = await openApp(elsewhere)
  assert.deepEqual((await search(ask, restored)).hits.length, made.hits.length)
})

it('resumes a change that was begun to a bundle of an equal fingerprint', async (test) => {
  const { dir, before, after, fingerprint } = await twoBundles(test, true)
  const config = testConfig(join(dir, 'data'))
  await (await openApp(config))[Symbol.asyncDispose]()
  const begin = async (bundle: string) => (await openReindex(config, bundle))[Symbol.asyncDispose]()
  const folders = () => readdir(join(dir, 'data', 'galleries'))
  await begin(before)
  const begun = await folders()

  await begin(after)

  assert.deepEqual(await folders(), begun)
  const [folder = ''] = begun
  assert.equal(
    readHeader(join(dir, 'data', 'galleries', folder, 'catalogue.sqlite'))?.fingerprint,
    fingerprint,
  )
})

it('refuses a library of a fingerprint that the bundle does not name', async (test) => {
  const { dir, before, after } = await twoBundles(test, false)
  const config = (bundle: string) => testConfig(join(dir, 'data'), { EARSHOT_BUNDLE: bundle })
  await (await openApp(config(before)))[Symbol.asyncDispose]()

  await assert.rejects(openApp(config(after)), { code: 'FINGERPRINT_MISMATCH' })
})
