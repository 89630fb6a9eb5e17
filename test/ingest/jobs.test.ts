import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { App } from '../../src/app.js'
import { cosine } from '../../src/domain/vector.js'
import { Encoder } from '../../src/encoder/encoder.js'
import { prune } from '../../src/ingest/prune.js'
import { ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { JobRunner } from '../../src/ingest/runner/job-runner.js'
import { classifyFiles } from '../../src/ingest/scan/classify.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { UploadStore } from '../../src/ingest/uploads.js'
import type { Job, JobId, JobRequest } from '../../src/jobs/jobs.js'
import { dataLayout } from '../../src/storage/data-layout.js'
import { make } from '../media/helpers.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'

const SOUNDS = ['sound_perc_bell.opus', 'sound_misc_crow.opus', 'sound_perc_door.opus']

async function library(
  test: TestContext,
  names: readonly string[] = SOUNDS,
): Promise<{ app: App; dir: string }> {
  const app = await temporaryApp(test)
  const dir = await temporaryDir(test)
  for (const name of names) await copyFile(fixture(name), join(dir, name))
  return { app, dir }
}

/** Creates a job and runs it until it ends or pauses. */
async function run(
  app: App,
  paths: readonly string[],
  options: Partial<JobRequest> = {},
): Promise<Job> {
  const { jobs } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest(paths, options))
  return continued(app, job.id)
}

async function continued(app: App, job: JobId): Promise<Job> {
  await new JobRunner(app, { concurrency: 2, except: [], job }).run()
  return app.gallery.catalogue.jobs.job(job)
}

it('pauses itself if every file would fail, and continues after a repair', async (test) => {
  const { app, dir } = await library(test)
  const path = process.env.PATH
  test.after(() => {
    process.env.PATH = path
  })

  process.env.PATH = ''
  const paused = await run(app, [dir])
  process.env.PATH = path

  assert.deepEqual([paused.state, paused.stop?.code], ['paused', 'FFMPEG_MISSING'])
  assert.equal((await app.gallery.catalogue.counts()).failures, 0)
  await app.gallery.catalogue.jobs.resume(paused.id)
  const done = await continued(app, paused.id)
  assert.deepEqual([done.state, done.counts.indexed], ['succeeded', 3])
})

it('pauses where the encoder has died, and blames no file for it', async (test) => {
  const { app, dir } = await library(test)
  const encoder = await Encoder.open(app.encoder.bundle, { providers: ['cpu'], threads: 1 })
  await encoder[Symbol.asyncDispose]()
  const { jobs } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest([dir]))

  await new JobRunner(
    { encoder, gallery: app.gallery, decoders: app.decoders },
    { concurrency: 2, except: [], job: job.id },
  ).run()

  const { state, stop, counts } = await jobs.job(job.id)
  assert.deepEqual([state, stop?.code, counts.failed], ['paused', 'ENCODER_FAILED', 0])
  await jobs.resume(job.id)
  assert.equal((await continued(app, job.id)).counts.indexed, 3)
})

it('pauses where a source goes away in the middle', async (test) => {
  const { app, dir } = await library(test)
  const { jobs, queue } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest([dir]))
  await queue.claimScan({ worker: 'test', leaseMs: 1000, job: job.id })
  const files = SOUNDS.map((name) => ({ path: join(dir, name), bytes: 1, mtimeMs: 1 }))
  await queue.addFound(job.id, 'test', { files, unchanged: [], quarantined: [] })
  await queue.endScan(job.id, 'test')

  await rename(dir, `${dir}-away`)
  const paused = await continued(app, job.id)
  await rename(`${dir}-away`, dir)

  assert.deepEqual(
    [paused.state, paused.counts.queued, paused.stop?.code],
    ['paused', 3, 'FILE_NOT_FOUND'],
  )
})

it('is paused and canceled from outside while it runs', async (test) => {
  const { app, dir } = await library(test)
  const { jobs } = app.gallery.catalogue
  for (const action of ['pause', 'cancel'] as const) {
    const { job } = await jobs.create(jobRequest([dir], { mode: 'all' }))
    const runner = new JobRunner(app, {
      concurrency: 1,
      except: [],
      job: job.id,
      onItem: async () => void (await jobs[action](job.id)),
    })

    await runner.run()

    const { state, counts } = await jobs.job(job.id)
    assert.deepEqual(
      [state, counts.running, counts.indexed],
      [action === 'pause' ? 'paused' : 'canceled', 0, 1],
    )
    assert.equal(counts.queued + counts.canceled, 2)
  }
})

it('tries a bad file once, and one whose reason may pass again', async (test) => {
  const { app, dir } = await library(test, ['bad_empty.mp4'])
  await mkdir(join(dir, 'folder'))
  await writeFile(join(dir, 'folder', 'a.txt'), 'so that it is not empty')
  execFileSync('mkfifo', [join(dir, 'pipe.wav')])
  const { jobs, queue } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest([dir]))
  await queue.claimScan({ worker: 'test', leaseMs: 1000, job: job.id })
  const files = ['bad_empty.mp4', 'folder', 'pipe.wav'].map((name) => ({
    path: join(dir, name),
    bytes: 0,
    mtimeMs: 1,
  }))
  await queue.addFound(job.id, 'test', { files, unchanged: [], quarantined: [] })
  await queue.endScan(job.id, 'test')

  const { state, reasons } = await continued(app, job.id)

  assert.equal(state, 'failed')
  assert.deepEqual(reasons, { MEDIA_EMPTY: 1, FILE_UNREADABLE: 2 })
  const items = await jobs.items(job.id, { limit: 9 })
  assert.deepEqual(
    items.map(({ path, attempts }) => [basename(path), attempts]),
    [
      ['bad_empty.mp4', 0],
      ['folder', 2],
      ['pipe.wav', 0],
    ],
  )
})

it('leaves a file in quarantine alone until it changes or is asked for', async (test) => {
  const { app, dir } = await library(test, ['bad_empty.mp4', 'sound_misc_crow.opus'])
  const bad = join(dir, 'bad_empty.mp4')
  assert.equal((await run(app, [dir])).state, 'partial')

  const again = await run(app, [dir])
  assert.deepEqual([again.state, again.quarantined, again.counts.unchanged], ['succeeded', 1, 1])

  assert.equal((await run(app, [bad])).counts.failed, 1, 'asked for by name')
  assert.equal((await run(app, [dir], { mode: 'all' })).counts.failed, 1, 'asked for all')
  await copyFile(fixture('sound_perc_bell.opus'), bad)
  assert.equal((await run(app, [dir])).counts.indexed, 1)
  assert.equal((await app.gallery.catalogue.counts()).failures, 0)
})

it('takes what its mode says', async (test) => {
  const { app, dir } = await library(test, SOUNDS.slice(0, 2))
  const [first = '', second = '', third = ''] = SOUNDS
  await run(app, [dir])
  await copyFile(fixture(second), join(dir, first))
  await copyFile(fixture(third), join(dir, third))

  const missing = await run(app, [dir], { mode: 'missing' })
  const changed = await run(app, [dir])
  const all = await run(app, [dir], { mode: 'all' })

  assert.deepEqual([missing.counts.indexed, missing.counts.unchanged], [1, 2])
  assert.deepEqual([changed.counts.copied, changed.counts.unchanged], [1, 2])
  assert.deepEqual([all.counts.indexed, all.counts.unchanged], [3, 0])
})

it('says what it would do, and does nothing', async (test) => {
  const { app, dir } = await library(test, SOUNDS.slice(0, 2))
  await run(app, [join(dir, SOUNDS[0] ?? '')])

  const found = []
  for await (const batch of classifyFiles(jobRequest([dir]), app.gallery.catalogue, {
    onWarning: () => {},
  }))
    found.push(batch)

  assert.deepEqual(
    found.map(({ todo, unchanged }) => [todo.length, unchanged.length]),
    [[1, 1]],
  )
  assert.equal((await app.gallery.catalogue.jobs.jobs({ limit: 9 })).length, 1)
})

it('marks a deleted file as missing, and removes its clip only on request', async (test) => {
  const { app, dir } = await library(test)
  const [first = '', second = ''] = SOUNDS
  const { catalogue } = app.gallery
  await run(app, [dir])
  const before = await catalogue.clipAt(join(dir, first))
  await rename(join(dir, first), join(dir, 'kept.txt'))
  await rm(join(dir, second))

  assert.equal((await run(app, [dir])).state, 'succeeded')
  assert.deepEqual(
    (await catalogue.files.missingClips({ limit: 9 })).map(({ path }) => basename(path)),
    [second, first].sort(),
  )
  assert.equal((await catalogue.counts()).clips, 3)

  await rename(join(dir, 'kept.txt'), join(dir, first))
  await run(app, [dir])
  assert.equal((await catalogue.clipAt(join(dir, first)))?.id, before?.id)
  assert.deepEqual(
    (await catalogue.files.missingClips({ limit: 9 })).map(({ path }) => basename(path)),
    [second],
  )

  const dirs = dataLayout(app.config.library.dataDir)
  assert.equal(await prune([], { uploads: new UploadStore(dirs), gallery: app.gallery }), 1)
  assert.equal((await catalogue.counts()).clips, 2)
  assert.equal((await app.gallery.check()).whole, true)
})

it('takes a folder that is wholly gone, or empty as a lost mount, for offline', async (test) => {
  const { app, dir } = await library(test, [])
  const { catalogue } = app.gallery
  for (const disk of ['one', 'two']) {
    await mkdir(join(dir, disk))
    for (const name of SOUNDS.slice(0, 2)) await copyFile(fixture(name), join(dir, disk, name))
  }
  await run(app, [dir])
  await rename(join(dir, 'one'), `${dir}-one`)
  test.after(() => rm(`${dir}-one`, { recursive: true, force: true }))
  await mkdir(join(dir, 'one'))

  const part = await run(app, [dir])
  await rm(join(dir, 'one'), { recursive: true })
  const gone = await run(app, [join(dir, 'one')])

  assert.match(part.warnings.join('\n'), /one is gone or empty, with 2 clips/)
  assert.match(gone.warnings.join('\n'), /one is gone or empty, with 2 clips/)
  assert.deepEqual([part.state, gone.state], ['succeeded', 'succeeded'])
  assert.deepEqual(await catalogue.files.missingClips({ limit: 9 }), [])
  assert.equal((await catalogue.counts()).clips, 4)

  const dirs = dataLayout(app.config.library.dataDir)
  assert.equal(
    await prune([join(dir, 'one')], { uploads: new UploadStore(dirs), gallery: app.gallery }),
    2,
  )
})

it('continues an interrupted job and finds new files', async (test) => {
  const { app, dir } = await library(test)
  const abort = new AbortController()
  const options = { concurrency: 1, onWarning: () => {} }
  const stopped = ingestPaths(
    [dir],
    { ...app, signal: abort.signal },
    {
      ...options,
      onProgress: () => abort.abort(new Error('enough')),
    },
  )
  await assert.rejects(stopped, /enough/)
  const { jobs } = app.gallery.catalogue
  const [paused] = await jobs.jobs({ limit: 9 })
  assert.deepEqual([paused?.state, paused?.counts.indexed, paused?.counts.queued], ['paused', 1, 2])
  await copyFile(fixture('sound_guit_e_slide.opus'), join(dir, 'new.opus'))

  const report = await ingestPaths([dir], app, { ...options, onProgress: () => {} })

  assert.deepEqual([report.job, report.indexed, report.unchanged], [paused?.id, 4, 0])
  assert.equal((await jobs.jobs({ limit: 9 })).length, 1)
})

it('runs the jobs of a queue until it is stopped', async (test) => {
  const { app, dir } = await library(test)
  const { jobs } = app.gallery.catalogue
  const stop = new AbortController()
  const running = new JobRunner(
    { ...app, signal: stop.signal },
    { concurrency: 2, except: [] },
  ).run()

  const ids: JobId[] = []
  for (const name of SOUNDS) ids.push((await jobs.create(jobRequest([join(dir, name)]))).job.id)
  const states = () => Promise.all(ids.map(async (id) => (await jobs.progress(id)).state))
  while ((await states()).some((state) => state !== 'succeeded')) await setTimeout(50)
  stop.abort()

  await running
})

it('indexes a file that changes while it is being indexed as it is in the end', async (test) => {
  const { app, dir } = await library(test, ['sound_perc_bell.opus'])
  const file = join(dir, 'sound_perc_bell.opus')
  const { encodeSegment } = app.encoder
  const encoding = test.mock.method(
    app.encoder,
    'encodeSegment',
    async (...asked: Parameters<typeof encodeSegment>) => {
      if (encoding.mock.callCount() === 0) await copyFile(fixture('sound_misc_crow.opus'), file)
      return encodeSegment.apply(app.encoder, asked)
    },
  )

  const { id, state } = await run(app, [dir])

  const [item] = await app.gallery.catalogue.jobs.items(id, { limit: 9 })
  assert.deepEqual([state, item?.state, item?.attempts], ['succeeded', 'indexed', 1])
  assert.equal(
    (await app.gallery.catalogue.clipAt(file))?.hash,
    await (await opened(fixture('sound_misc_crow.opus'))).contentHash(),
  )
  assert.equal((await app.gallery.check()).whole, true)
})

it('reports a file that vanishes after the scan, and indexes the rest', async (test) => {
  const { app, dir } = await library(test)
  const { jobs } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest([dir]))
  const [bell = '', crow = '', door = ''] = [...SOUNDS].sort()
  const onItem = async () => rm(join(dir, door), { force: true })
  await new JobRunner(app, { concurrency: 1, except: [], job: job.id, onItem }).run()

  const items = await jobs.items(job.id, { limit: 9 })
  assert.deepEqual(
    items.map(({ path, state, reason }) => [basename(path), state, reason?.code]),
    [
      [bell, 'indexed', undefined],
      [crow, 'indexed', undefined],
      [door, 'failed', 'FILE_NOT_FOUND'],
    ],
  )
})

it('takes two videos that begin with the same black frames for two', async (test) => {
  const { app, dir } = await library(test, [])
  const fade = (source: string) => [`${source}=s=128x128:r=10,trim=duration=4,fade=in:d=2`]
  for (const [name, source] of Object.entries({ 'a.mp4': 'testsrc2', 'b.mp4': 'mandelbrot' })) {
    await make(join(dir, name), fade(source), ['-c:v', 'libx264', '-preset', 'ultrafast'])
  }

  const { counts } = await run(app, [dir])

  const { catalogue } = app.gallery
  const clips = await catalogue.clips({ limit: 9 })
  const [one, two] = await Promise.all(
    clips.map(async ({ id }) => (await catalogue.embeddings(id, 'visual'))[0]),
  )
  assert.deepEqual([counts.indexed, counts.copied], [2, 0])
  assert.ok(one && two && cosine(one, two) < 0.8, `cosine ${one && two && cosine(one, two)}`)
})

it('clears away what killed processes have left, and nothing that may be in use', async (test) => {
  const { app } = await library(test, [])
  const before = process.env.TMPDIR
  process.env.TMPDIR = await temporaryDir(test)
  test.after(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  for (const name of ['earshot-media-old', 'earshot-media-young', 'another']) {
    await mkdir(join(process.env.TMPDIR, name))
    if (name !== 'earshot-media-young')
      await utimes(join(process.env.TMPDIR, name), new Date(0), new Date(0))
  }

  await run(app, [])

  assert.deepEqual((await readdir(process.env.TMPDIR)).sort(), ['another', 'earshot-media-young'])
})
