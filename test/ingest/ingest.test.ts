import assert from 'node:assert/strict'
import { copyFile, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import type { App } from '../../src/app.js'
import { type IngestProgress, ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { tone } from './tone.js'

async function folderOf(test: TestContext, names: readonly string[]): Promise<string> {
  const dir = await temporaryDir(test)
  for (const name of names) await copyFile(fixture(name), join(dir, name))
  return dir
}

function ingest(
  app: App,
  paths: readonly string[],
  onProgress: (step: IngestProgress) => void = () => {},
) {
  return ingestPaths(paths, app, { concurrency: 2, onWarning: () => {}, onProgress })
}

it('indexes a folder, and does nothing the second time', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['guitar_cc0.mp4', 'photo_cat.webp', 'sound_perc_bell.opus'])

  const first = await ingest(app, [dir])
  const second = await ingest(app, [dir])

  assert.deepEqual([first.indexed, first.unchanged, first.failed.length], [3, 0, 0])
  assert.deepEqual([second.indexed, second.unchanged, second.failed.length], [0, 3, 0])
  assert.equal((await app.gallery.catalogue.counts()).clips, 3)
  assert.equal((await app.gallery.check()).whole, true)
})

it('compares content to distinguish a touched file from a changed file', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['sound_perc_bell.opus'])
  const file = join(dir, 'sound_perc_bell.opus')
  await ingest(app, [file])
  const before = await app.gallery.catalogue.clipAt(file)

  await utimes(file, new Date(), new Date(0))
  assert.equal((await ingest(app, [file])).unchanged, 1)

  await copyFile(fixture('sound_misc_crow.opus'), file)
  assert.equal((await ingest(app, [file])).indexed, 1)
  const now = await app.gallery.catalogue.clipAt(file)
  assert.equal(now?.id, before?.id)
  assert.notEqual(now?.hash, before?.hash)
  assert.equal((await app.gallery.check()).whole, true)
})

it('keeps the clips of a folder that was moved, and encodes nothing again', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['guitar_cc0.mp4', 'photo_cat.webp'])
  await ingest(app, [dir])
  const { catalogue } = app.gallery
  const before = await catalogue.clips({ limit: 10 })
  const head = await catalogue.log.head()
  const moved = join(await temporaryDir(test), 'moved')
  await rename(dir, moved)
  const encodes = [
    test.mock.method(app.encoder, 'encodeAudio'),
    test.mock.method(app.encoder, 'encodeFrame'),
  ]

  const report = await ingest(app, [moved])

  assert.deepEqual([report.indexed, report.unchanged], [0, 2])
  const now = await catalogue.clips({ limit: 10 })
  assert.deepEqual(
    now.map(({ id }) => id),
    before.map(({ id }) => id),
  )
  assert.ok(now.every(({ path }) => path.startsWith(moved)))
  const { changes } = await catalogue.log.read(head, 100)
  assert.ok(changes.length > 0)
  assert.ok(
    changes.every(({ op }) => op === 'attributes'),
    'their paths changed, and no embedding',
  )
  assert.ok(encodes.every(({ mock }) => mock.callCount() === 0))
})

it('takes copies for clips of their own, and encodes one of them', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['sound_perc_bell.opus'])
  for (const copy of ['a', 'b', 'c'])
    await copyFile(fixture('sound_perc_bell.opus'), join(dir, `${copy}.opus`))
  const encodes = test.mock.method(app.encoder, 'encodeAudio')

  const { job, indexed } = await ingest(app, [dir])
  await copyFile(fixture('sound_perc_bell.opus'), join(dir, 'later.opus'))
  await ingest(app, [dir])

  const { catalogue } = app.gallery
  const { counts } = await catalogue.jobs.job(job)
  const { clips, segments } = await catalogue.counts()
  assert.deepEqual([indexed, counts.indexed, counts.copied], [4, 1, 3])
  assert.deepEqual([clips, segments / clips], [5, encodes.mock.callCount()])
  assert.equal((await app.gallery.check()).whole, true)
})

it('sees that a file was altered where its size stayed the same', async (test) => {
  const app = await temporaryApp(test)
  const file = join(await temporaryDir(test), 'same-size.wav')
  await writeFile(file, tone(440))
  await ingest(app, [file])

  await writeFile(file, tone(880))
  await utimes(file, new Date(), new Date(1e12))

  assert.equal((await ingest(app, [file])).indexed, 1)
})

it('reports each file that fails, with its reason, while the rest go on', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, [
    'bad_empty.mp4',
    'bad_text_named.mp4',
    'bad_truncated.mp4',
    'photo_dog.jpg',
  ])
  const steps: IngestProgress[] = []

  const { indexed, failed } = await ingest(app, [dir, join(dir, 'gone.wav')], (step) =>
    steps.push(step),
  )

  assert.equal(indexed, 1)
  const codes = Object.fromEntries(failed.map(({ path, code }) => [path.split('/').at(-1), code]))
  assert.deepEqual(codes, {
    'bad_empty.mp4': 'MEDIA_EMPTY',
    'bad_text_named.mp4': 'MEDIA_IS_TEXT',
    'bad_truncated.mp4': 'MEDIA_DAMAGED',
    'gone.wav': 'FILE_NOT_FOUND',
  })
  assert.equal(steps.at(-1)?.done, 5)
  assert.equal((await app.gallery.catalogue.failures({ limit: 10 })).length, 4)
})

it('forgets a failure when the file is mended', async (test) => {
  const app = await temporaryApp(test)
  const dir = await temporaryDir(test)
  const file = join(dir, 'clip.opus')
  await writeFile(file, '')
  await ingest(app, [file])
  assert.equal((await app.gallery.catalogue.failureAt(file))?.code, 'MEDIA_EMPTY')

  await copyFile(fixture('sound_misc_crow.opus'), file)
  await ingest(app, [file])

  assert.equal(await app.gallery.catalogue.failureAt(file), undefined)
})

it('stops on request and keeps its results', async (test) => {
  const app = await temporaryApp(test)
  const abort = new AbortController()
  const stopped = ingestPaths(
    [fixture('photo_cat.webp'), fixture('photo_cow.webp'), fixture('photo_pig.webp')],
    { ...app, signal: abort.signal },
    {
      concurrency: 1,
      onWarning: () => {},
      onProgress: () => abort.abort(new Error('enough')),
    },
  )

  await assert.rejects(stopped, /enough/)
  assert.equal((await app.gallery.catalogue.counts()).clips, 1)
  assert.equal((await app.gallery.catalogue.counts()).failures, 0)
})
