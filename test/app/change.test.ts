import assert from 'node:assert/strict'
import { copyFile, cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { openReindex, previousBundle, pruneGalleries } from '../../src/app/open-reindex.js'
import { type App, openApp } from '../../src/app.js'
import { type Config, PACKAGE_DIR } from '../../src/config.js'
import { recordFailure, removeClip } from '../../src/gallery/catalogue/write-clips.js'
import { readGalleries, writeGalleries } from '../../src/gallery/sqlite/galleries-file.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { JobRunner } from '../../src/ingest/runner/job-runner.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { hasEnded } from '../../src/jobs/job-state.js'
import { type ReindexReport, reindex } from '../../src/reindex/reindex.js'
import { search } from '../../src/search/search.js'
import { dataLayout } from '../../src/storage/data-layout.js'
import { eventually } from '../eventually.js'
import { opened } from '../opened.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'
import { anotherBundle } from './bundles.js'

const FILES = ['photo_dog.webp', 'sound_perc_bell.opus', 'guitar_cc0.mp4']

interface Library {
  readonly app: App
  readonly config: Config
  readonly other: string // the other bundle
  file(name: string): string
  ids(): Promise<string[]>
}

/** Creates a library of three clips with its own folder of files, and a second bundle. */
async function library(test: TestContext, names: readonly string[] = FILES): Promise<Library> {
  let app: App | null = null
  const dir = await temporaryDir(test, async () => app?.[Symbol.asyncDispose]())
  const config = testConfig(join(dir, 'data'))
  await mkdir(join(dir, 'clips'))
  const file = (name: string) => join(dir, 'clips', name)
  app = await openApp(config)
  for (const name of names) {
    await copyFile(fixture(name), file(name))
    await ingestFile(file(name), app)
  }
  const ids = async () => (await app.gallery.catalogue.clips({ limit: 100 })).map(({ id }) => id)
  return { app, config, other: anotherBundle(dir), file, ids }
}

async function changeTo(bundle: string, config: Config): Promise<ReindexReport> {
  await using change = await openReindex(config, bundle)
  const { signal } = new AbortController()
  return await reindex({ ...change, signal }, { concurrency: 2, onProgress: () => {} })
}

const findPictures = (app: App) =>
  app.run(async (parts) => {
    const query = { kind: 'file', file: await opened(fixture('sound_guit_e_slide.opus')) } as const
    const answer = await search({ query, limit: 5 }, parts)
    assert.equal(answer.bundle.fingerprint, parts.encoder.bundle.fingerprint)
    return answer
  })

it('moves every clip to another bundle under its id and names missing files', async (test) => {
  const { app, config, other, file, ids } = await library(test)
  const before = await ids()
  const old = app.encoder.bundle.fingerprint
  await rename(file('photo_dog.webp'), file('away'))

  const { clips, encoded, partial, kept, waiting } = await changeTo(other, config)
  await app.refresh()

  assert.deepEqual({ clips, encoded, partial, kept }, { clips: 3, encoded: 2, partial: 0, kept: 0 })
  assert.deepEqual(
    waiting.map(({ waits, path }) => [waits, path]),
    [['FILE_NOT_FOUND', file('photo_dog.webp')]],
  )
  assert.deepEqual(await ids(), before)
  assert.notEqual(app.encoder.bundle.fingerprint, old)
  assert.equal((await app.gallery.check()).whole, true)
  assert.equal(
    (await app.gallery.catalogue.failureAt(file('photo_dog.webp')))?.code,
    'FILE_NOT_FOUND',
  )

  await rename(file('away'), file('photo_dog.webp'))
  const { outcome, clip } = await ingestFile(file('photo_dog.webp'), app)
  assert.deepEqual([outcome, clip.id], ['indexed', before[0]])
})

it('takes over failures, but for those of which the old bundle was the fault', async (test) => {
  const { app, config, other, file } = await library(test, ['photo_dog.webp'])
  const facts = { detail: '', bytes: 1, mtimeMs: 1 }
  await recordFailure(app.gallery.catalogue, {
    path: file('damaged'),
    code: 'MEDIA_DAMAGED',
    ...facts,
  })
  await recordFailure(app.gallery.catalogue, {
    path: file('unseen'),
    code: 'MODALITY_NOT_SERVED',
    ...facts,
  })

  await changeTo(other, config)
  await app.refresh()

  const failures = await app.gallery.catalogue.failures({ limit: 10 })
  assert.deepEqual(
    failures.map(({ path }) => path),
    [file('damaged')],
  )
})

it('answers every query from one bundle while the library changes under it', async (test) => {
  const { app, config, other, file } = await library(test)
  const fingerprints: string[] = []
  const done = new AbortController()
  const asking = [0, 1].map(async () => {
    while (!done.signal.aborted) fingerprints.push((await findPictures(app)).bundle.fingerprint)
  })
  const old = app.encoder.bundle.fingerprint

  const changing = changeTo(other, config)
  await copyFile(fixture('photo_pig.webp'), file('late.webp'))
  const late = await app.run((parts) => ingestFile(file('late.webp'), parts))
  const { clips } = await changing
  await app.refresh()
  for (const from = fingerprints.length; fingerprints.length < from + 6; ) await setTimeout(10)
  done.abort()
  await Promise.all(asking)

  assert.equal(fingerprints[0], old)
  assert.equal(fingerprints.at(-1), app.encoder.bundle.fingerprint)
  const turn = fingerprints.lastIndexOf(old)
  assert.ok(turn >= 0 && turn < fingerprints.length - 1)
  assert.equal(clips, 4)
  assert.equal((await app.gallery.catalogue.clip(late.clip.id))?.path, file('late.webp'))
})

it('encodes one of several equal clips and copies the result to the others', async (test) => {
  const { app, config, other, file, ids } = await library(test, [
    'sound_perc_bell.opus',
    'photo_dog.webp',
  ])
  for (const name of ['a', 'b']) {
    await copyFile(fixture('sound_perc_bell.opus'), file(name))
    await ingestFile(file(name), app)
  }
  const before = await ids()

  const { clips, encoded, copied } = await changeTo(other, config)
  await app.refresh()

  assert.deepEqual({ clips, encoded, copied }, { clips: 4, encoded: 2, copied: 2 })
  assert.deepEqual(await ids(), before)
  const { embeddings } = await app.gallery.catalogue.counts()
  assert.deepEqual(embeddings, { audio: 3, visual: 1 })
  assert.equal((await app.gallery.check()).whole, true)
})

it('moves jobs in their state and continues them in the new gallery', async (test) => {
  const { app, config, other, file } = await library(test, ['photo_dog.webp'])
  for (const name of ['sound_perc_bell.opus', 'sound_misc_crow.opus'])
    await copyFile(fixture(name), file(name))
  const { jobs } = app.gallery.catalogue
  const { job: paused } = await jobs.create(
    jobRequest([file('sound_perc_bell.opus'), file('sound_misc_crow.opus')]),
  )
  const pause = async () => void (await jobs.pause(paused.id))
  await new JobRunner(app, { concurrency: 1, except: [], job: paused.id, onItem: pause }).run()
  const { job: queued } = await jobs.create(
    jobRequest([file('photo_dog.webp')], { mode: 'all' }),
    'key',
  )
  const view = async () => {
    const { jobs } = app.gallery.catalogue
    return [await jobs.jobs({ limit: 9 }), await jobs.items(paused.id, { limit: 9 })]
  }
  const before = await view()

  await changeTo(other, config)
  await assert.rejects(jobs.resume(paused.id), { code: 'GALLERY_RETIRED' })
  await app.refresh()
  assert.deepEqual(await view(), before)

  const { catalogue } = app.gallery
  await catalogue.jobs.resume(paused.id)
  for (const { id } of [paused, queued])
    await new JobRunner(app, { concurrency: 1, except: [], job: id }).run()

  const [second, first] = await catalogue.jobs.jobs({ limit: 9 })
  assert.deepEqual([first?.state, first?.counts.indexed], ['succeeded', 2])
  assert.deepEqual([second?.state, second?.counts.indexed], ['succeeded', 1])
  assert.equal(
    (await catalogue.jobs.create(jobRequest([file('photo_dog.webp')], { mode: 'all' }), 'key'))
      .isNew,
    false,
  )
  assert.equal((await catalogue.counts()).clips, 3)
  assert.equal((await app.gallery.check()).whole, true)
})

it('stops a runner whose gallery is replaced and starts it in the new gallery', async (test) => {
  const { app, config, other, file } = await library(test, ['photo_dog.webp'])
  const stop = new AbortController()
  const galleries: unknown[] = []
  const running = (async () => {
    while (!stop.signal.aborted) {
      await app.run((parts, replaced) => {
        galleries.push(parts.gallery)
        const signal = AbortSignal.any([stop.signal, replaced])
        return new JobRunner({ ...parts, signal }, { concurrency: 1, except: [] }).run()
      })
    }
  })()

  await changeTo(other, config)
  await app.refresh()
  await copyFile(fixture('sound_misc_crow.opus'), file('late.opus'))
  const { job } = await app.gallery.catalogue.jobs.create(jobRequest([file('late.opus')]))
  while (!hasEnded((await app.gallery.catalogue.jobs.progress(job.id)).state)) await setTimeout(20)
  stop.abort()
  await running

  assert.deepEqual([galleries.length, galleries.at(-1) === app.gallery], [2, true])
  assert.notEqual(await app.gallery.catalogue.clipAt(file('late.opus')), undefined)
})

it('writes to what serves now what the change has kept from being written', async (test) => {
  const { app, config, other, file } = await library(test, ['sound_perc_bell.opus'])
  const retired = app.gallery
  await changeTo(other, config)
  await copyFile(fixture('photo_cat.webp'), file('cat.webp'))

  await assert.rejects(
    ingestFile(file('cat.webp'), {
      encoder: app.encoder,
      gallery: retired,
      decoders: app.decoders,
    }),
    {
      code: 'GALLERY_RETIRED',
    },
  )
  const { clip } = await app.run((parts) => ingestFile(file('cat.webp'), parts))

  assert.notEqual(app.gallery, retired)
  assert.equal((await app.gallery.catalogue.clipAt(file('cat.webp')))?.id, clip.id)
})

it('changes back with new clips, encodes only those, and reclaims the space', async (test) => {
  const { app, config, other, file, ids } = await library(test)
  const { fingerprint } = app.encoder.bundle
  const [dog = '', bell = ''] = await ids()
  await changeTo(other, config)
  await assert.rejects(
    pruneGalleries(config),
    { code: 'DATA_LOCKED' },
    'the app has not left the old one',
  )
  await app.refresh()
  await copyFile(fixture('photo_cow.webp'), file('cow.webp'))
  const { clip: cow } = await ingestFile(file('cow.webp'), app)
  await removeClip(app.gallery.catalogue, bell)
  await rename(file('photo_dog.webp'), file('moved.webp'))
  await ingestFile(file('moved.webp'), app)

  const { clips, encoded, kept, waiting } = await changeTo(await previousBundle(config), config)
  await app.refresh()

  assert.deepEqual(
    { clips, encoded, kept, waiting },
    { clips: 3, encoded: 1, kept: 2, waiting: [] },
  )
  assert.equal(app.encoder.bundle.fingerprint, fingerprint)
  assert.equal(await app.gallery.catalogue.clip(bell), undefined)
  assert.equal((await app.gallery.catalogue.clip(dog))?.path, file('moved.webp'))
  assert.equal((await app.gallery.catalogue.clip(cow.id))?.path, file('cow.webp'))
  // The app closes its previous gallery in the background.
  const pruned = await eventually(
    () => pruneGalleries(config).catch(() => []),
    ({ length }) => length > 0,
  )
  assert.equal(pruned.length, 1)
  await assert.rejects(previousBundle(config), { code: 'USAGE' })
  assert.equal((await findPictures(app)).hits.length, 3)
})

it('brings a change to its end that was killed after the old gallery retired', async (test) => {
  const { app, config, other } = await library(test, ['photo_dog.webp'])
  await changeTo(other, config)
  const { galleriesFile } = dataLayout(config.library.dataDir)
  const places = readGalleries(galleriesFile)
  assert.ok(places?.previous)
  writeGalleries(galleriesFile, { current: places.previous, next: places.current, previous: null })

  await app.refresh()

  assert.deepEqual(readGalleries(galleriesFile), places)
  assert.equal(app.encoder.bundle.name, 'another')
})

it('keeps the old bundle if a change is abandoned, and later reuses its work', async (test) => {
  const { app, config, other } = await library(test)
  const stop = new AbortController()
  {
    await using change = await openReindex(config, other)
    const onProgress = () => stop.abort(new Error('given up'))
    await assert.rejects(
      reindex({ ...change, signal: stop.signal }, { concurrency: 1, onProgress }),
      /given up/,
    )
  }
  await app.refresh()
  assert.equal(app.encoder.bundle.name, 'starter')

  const { encoded, kept } = await changeTo(other, config)

  assert.deepEqual({ encoded, kept }, { encoded: 2, kept: 1 })
})

it('refuses what would change nothing', async (test) => {
  const dir = await temporaryDir(test)

  await assert.rejects(openReindex(testConfig(dir), 'starter'), {
    code: 'USAGE',
    message: /no library/,
  })
  const { config } = await library(test, ['photo_dog.webp'])

  const renamed = join(dir, 'renamed')
  await cp(join(PACKAGE_DIR, 'models', 'starter'), renamed, { recursive: true })
  const manifest = await readFile(join(renamed, 'bundle.json'), 'utf8')
  await writeFile(
    join(renamed, 'bundle.json'),
    JSON.stringify({ ...JSON.parse(manifest), name: 'renamed' }),
  )
  for (const bundle of ['starter', renamed]) {
    await assert.rejects(openReindex(config, bundle), { code: 'USAGE', message: /already/ })
  }
  await assert.rejects(previousBundle(config), { code: 'USAGE' })
})
