import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { backUp, restore } from '../../src/app/backup.js'
import { openApp } from '../../src/app.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { JobRunner } from '../../src/ingest/runner/job-runner.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp, temporaryDir, testConfig } from '../workplace.js'
import { served } from './served.js'

/** Starts a server with one clip inside its root and another clip outside it. */
async function place(test: TestContext) {
  const dir = await temporaryDir(test)
  const [root, outside] = [join(dir, 'root'), join(dir, 'outside')]
  for (const folder of [root, outside]) await mkdir(folder)
  await copyFile(fixture('guitar_cc0.mp4'), join(root, 'clip.mp4'))
  await copyFile(fixture('drumroll_cc0.mp4'), join(outside, 'secret.mp4'))
  const server = await served(test, { EARSHOT_ROOTS: root })
  const post = (path: string, body: unknown) =>
    fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  return { ...server, dir, root, outside, post }
}

describe('a file outside of the roots', () => {
  it('is not served, shown or searched by when it takes the place of a clip', async (test) => {
    const { url, root, outside, post } = await place(test)
    const added = await post('/v1/clips', { path: join(root, 'clip.mp4') })
    const { id } = (await added.json()) as { id: string }
    const media = () => fetch(`${url}/v1/clips/${id}/media`)
    assert.equal((await media()).status, 200)

    await rm(join(root, 'clip.mp4'))
    await symlink(join(outside, 'secret.mp4'), join(root, 'clip.mp4'))

    const range = { clip: id, start: 0, end: 2, to: 'audio' }
    const answers = [
      await media(),
      await fetch(`${url}/v1/clips/${id}/thumbnail`),
      await post('/v1/search', range),
    ]
    assert.deepEqual(
      answers.map(({ status }) => status),
      [403, 403, 403],
    )
  })

  it('is not indexed by a job whose source became a link', async (test) => {
    const { app, root, outside } = await place(test)
    const source = join(root, 'folder')
    await mkdir(source)
    const { job } = await app.gallery.catalogue.jobs.create(
      jobRequest([source], { within: [root] }),
    )
    await rm(source, { recursive: true })
    await symlink(outside, source)

    await new JobRunner({ ...app }, { concurrency: 1, except: [], job: job.id }).run()

    const { jobs } = app.gallery.catalogue
    assert.deepEqual(await jobs.items(job.id, { limit: 9 }), [])
    assert.match((await jobs.job(job.id)).warnings.join(), /leads out of the roots/)
  })

  it('is not indexed when it takes the place of a file that a scan has found', async (test) => {
    const { app, root, outside } = await place(test)
    const path = join(root, 'clip.mp4')
    await rename(path, join(root, 'kept.mp4'))
    await symlink(join(outside, 'secret.mp4'), path)

    await assert.rejects(ingestFile(path, app, { within: [root] }), { code: 'PATH_NOT_ALLOWED' })
    assert.equal((await app.gallery.catalogue.counts()).clips, 0)
  })

  it('is not served for a backup that names it', async (test) => {
    const dir = await temporaryDir(test)
    await copyFile(fixture('guitar_cc0.mp4'), join(dir, 'private.mp4'))
    const bundle = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }
    const made = await temporaryApp(test, bundle)
    const { clip } = await ingestFile(join(dir, 'private.mp4'), made)
    await backUp(made.config, join(dir, 'library.earshot'))
    const data = join(dir, 'restored')

    await restore(testConfig(data, bundle), join(dir, 'library.earshot'), { force: false })

    const { app, url } = await served(test, { ...bundle, EARSHOT_DATA: data })
    assert.notEqual(await app.gallery.catalogue.clip(clip.id), undefined)
    const media = () => fetch(`${url}/v1/clips/${clip.id}/media`)
    assert.equal((await media()).status, 403)
    app.sources.add([dir])
    assert.equal((await media()).status, 200)
  })
})

it('serves what was indexed before the library had a list of its sources', async (test) => {
  const dir = await temporaryDir(test)
  await copyFile(fixture('guitar_cc0.mp4'), join(dir, 'clip.mp4'))
  const data = await temporaryDir(test)
  const config = testConfig(data, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  {
    await using app = await openApp(config)
    await app.gallery.catalogue.jobs.create(jobRequest([dir]))
  }

  await using app = await openApp(config)

  assert.ok(app.servedFolders.includes(dir))
})

it('answers at once for a named pipe under a root, and stays of use', async (test) => {
  const { url, root, post } = await place(test)
  execFileSync('mkfifo', [join(root, 'pipe.mp4')])

  const answers = await Promise.all(
    Array.from({ length: 8 }, () => post('/v1/clips', { path: join(root, 'pipe.mp4') })),
  )
  const added = await post('/v1/clips', { path: join(root, 'clip.mp4') })
  const { id } = (await added.json()) as { id: string }

  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([422]))
  assert.equal((await fetch(`${url}/v1/clips/${id}/media`)).status, 200)
  assert.ok((await opened(join(root, 'clip.mp4'))).bytes > 0)
})
