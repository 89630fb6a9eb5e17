import assert from 'node:assert/strict'
import { appendFile, copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { App } from '../../src/app.js'
import { pathBytes } from '../../src/domain/path-text.js'
import { buildHttp } from '../../src/http/http.js'
import { Clip, ClipPage, Problem, SearchAnswer } from '../../src/http/schemas.js'
import { ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { watchAndIngest } from '../../src/ingest/watch/watch-and-ingest.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { tone } from './tone.js'

const QUICK = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }

/** Creates a folder, a picture and a sound whose names are not UTF-8. Returns the names as text. */
async function oddFolder(test: TestContext) {
  const root = await temporaryDir(test)
  const dir = join(root, 'caf\\xe9')
  await mkdir(pathBytes(dir))
  const [dog, bell] = [join(dir, 'hund\\xff ü.jpg'), join(dir, 'gl\\xf6ckchen.opus')]
  await copyFile(fixture('photo_dog.jpg'), pathBytes(dog))
  await copyFile(fixture('sound_perc_bell.opus'), pathBytes(bell))
  return { root, dir, dog, bell }
}

const ingest = (app: App, ...paths: string[]) =>
  ingestPaths(paths, app, { concurrency: 2, onWarning: assert.fail, onProgress: () => {} })

it('indexes files whose names are not UTF-8 and recognises them after moves', async (test) => {
  const app = await temporaryApp(test, QUICK)
  const { root, dir, dog, bell } = await oddFolder(test)
  const { catalogue } = app.gallery

  const first = await ingest(app, root)
  const second = await ingest(app, root)
  const named = await ingest(app, bell)

  assert.deepEqual([first.indexed, first.failed, second.unchanged, named.unchanged], [2, [], 2, 1])
  assert.deepEqual(
    new Set((await catalogue.clips({ limit: 9 })).map(({ path }) => path)),
    new Set([dog, bell]),
  )
  assert.equal(await catalogue.files.countUnder(dir), 2)

  const before = await catalogue.clipAt(dog)
  const moved = join(root, 'hund\\xfe.jpg')
  await rename(pathBytes(dog), pathBytes(moved))
  await ingest(app, root)
  assert.equal((await catalogue.clipAt(moved))?.id, before?.id)

  await rename(pathBytes(moved), join(root, 'kept'))
  await ingest(app, root)
  assert.deepEqual(
    (await catalogue.files.missingClips({ limit: 9 })).map(({ path }) => path),
    [moved],
  )
  await rename(join(root, 'kept'), pathBytes(moved))
  await ingest(app, root)
  assert.deepEqual(await catalogue.files.missingClips({ limit: 9 }), [])
  assert.equal((await app.gallery.check()).whole, true)
})

it('takes such names over HTTP, and serves what is called so', async (test) => {
  const { root, dog, bell } = await oddFolder(test)
  const app = await temporaryApp(test, { ...QUICK, EARSHOT_ROOTS: root })
  const http = await buildHttp(app)
  const url = await http.listen({ port: 0, host: '127.0.0.1' })
  test.after(() => http.close())
  const post = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })

  const added = await post('/v1/clips', { path: dog })
  const { id, path, links } = Clip.parse(await added.json())
  const again = Clip.parse(await (await post('/v1/clips', { path })).json())
  await (await post('/v1/clips', { path: bell })).json()
  const { clips } = ClipPage.parse(await (await fetch(`${url}/v1/clips`)).json())
  const search = await post('/v1/search', { clip: id, from: 'visual', to: 'audio' })
  const media = await fetch(url + links.media)
  const thumbnail = await fetch(url + links.thumbnail)
  const outside = Problem.parse(
    await (await post('/v1/clips', { path: join(root, '..', 'x\\xe9') })).json(),
  )

  assert.deepEqual([added.status, again.id, path, outside.code], [201, id, dog, 'PATH_NOT_ALLOWED'])
  assert.deepEqual(
    clips.map(({ path }) => path),
    [dog, bell],
  )
  assert.equal(SearchAnswer.parse(await search.json()).hits[0]?.clip.path, bell)
  assert.deepEqual([media.status, media.headers.get('content-type')], [200, 'image/jpeg'])
  assert.equal((await media.arrayBuffer()).byteLength, clips[0]?.bytes)
  assert.deepEqual(
    Buffer.from(await thumbnail.arrayBuffer()).subarray(0, 2),
    Buffer.from([0xff, 0xd8]),
  )
})

it('sees such a file come, grow and go in a folder that it watches', async (test) => {
  const app = await temporaryApp(test, QUICK)
  const { catalogue } = app.gallery
  const dir = await temporaryDir(test)
  await writeFile(join(dir, 'there.wav'), tone(300))
  const stop = new AbortController()
  const options = {
    concurrency: 1,
    settleMs: 1000,
    rescanMs: 3_600_000,
    pollMs: null,
    except: [],
    onWarning: assert.fail,
  }
  const running = watchAndIngest(jobRequest([dir]), { ...app, signal: stop.signal }, options)
  const until = async (isSo: () => Promise<unknown>) => {
    while (!(await isSo())) await setTimeout(50)
  }

  await until(() => catalogue.clipAt(join(dir, 'there.wav')))
  const [odd, ignored] = [join(dir, 'gro\\xdf.wav'), join(dir, 'gro\\xdf.txt')]
  const bytes = tone(440)
  await appendFile(pathBytes(ignored), 'text')
  for (let at = 0; at < bytes.length; at += 8000) {
    await appendFile(pathBytes(odd), bytes.subarray(at, at + 8000))
    await setTimeout(300)
  }
  await until(() => catalogue.clipAt(odd))
  assert.equal((await catalogue.clipAt(odd))?.bytes, bytes.length)
  await rm(pathBytes(odd))
  await until(async () => (await catalogue.files.missingClips({ limit: 1 })).length > 0)
  stop.abort()
  await running

  assert.equal(await catalogue.failureAt(ignored), undefined)
})
