import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import type { App } from '../../src/app.js'
import { PACKAGE_DIR } from '../../src/config.js'
import { buildHttp } from '../../src/http/http.js'
import { openapiYaml } from '../../src/http/openapi.js'
import {
  Clip,
  ClipPage,
  Health,
  Labels,
  Problem,
  SearchAnswer,
  System,
  Tags,
} from '../../src/http/schemas.js'
import { UploadReceiver } from '../../src/http/upload.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { FIXTURES, fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { expectDocumented } from './documented.js'

/** Returns an answer after a check against its schema. */
async function read<T>(schema: z.ZodType<T>, response: Response | Promise<Response>): Promise<T> {
  return schema.parse(await (await response).json())
}

describe('the HTTP API', () => {
  let app: App
  let http: FastifyInstance
  let url: string
  let guitar: string
  const cleanups: (() => unknown)[] = []
  const lifetime = { after: (cleanup: () => unknown) => void cleanups.unshift(cleanup) }

  before(async () => {
    app = await temporaryApp(lifetime, { EARSHOT_ROOTS: FIXTURES })
    http = await buildHttp(app)
    expectDocumented(http, lifetime)
    lifetime.after(() => http.close())
    url = await http.listen({ port: 0, host: '127.0.0.1' })
    for (const name of ['photo_dog.webp', 'drumroll_cc0.mp4', 'sound_perc_bell.opus'])
      await ingestFile(fixture(name), app)
    guitar = (await ingestFile(fixture('guitar_cc0.mp4'), app)).clip.id
  })
  after(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  const get = (path: string, headers: Record<string, string> = {}) => fetch(url + path, { headers })
  const postJson = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  async function postFile(
    path: string,
    file: Blob | string,
    fields: Record<string, string> = {},
    filename?: string,
  ) {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    const blob = typeof file === 'string' ? new Blob([await readFile(fixture(file))]) : file
    form.append('file', blob, filename ?? (typeof file === 'string' ? file : 'upload.mp4'))
    return fetch(url + path, { method: 'POST', body: form })
  }
  async function problem(response: Promise<Response>): Promise<{ status: number; code: string }> {
    const answered = await response
    assert.match(answered.headers.get('content-type') ?? '', /application\/problem\+json/)
    const { status, code, detail } = await read(Problem, answered)
    assert.equal(status, answered.status)
    assert.ok(detail.length > 10, detail)
    return { status, code }
  }

  it('answers an uploaded sound with moments of video', async () => {
    const response = await postFile('/v1/search', 'sound_guit_e_slide.opus', { limit: '2' })
    const answer = await read(SearchAnswer, response)

    assert.equal(response.status, 200)
    assert.deepEqual([answer.query.from, answer.to], ['audio', 'visual'])
    assert.equal(answer.hits.length, 2)
    assert.equal(answer.hits[0]?.clip.id, guitar)
    assert.equal(answer.hits[0]?.links.media, `/v1/clips/${guitar}/media`)
  })

  it('answers a clip of the library, and an embedding', async () => {
    const byClip = await read(
      SearchAnswer,
      postJson('/v1/search', { clip: guitar, from: 'audio', to: 'visual', limit: 1 }),
    )
    const [vector] = await app.gallery.catalogue.embeddings(guitar, 'audio')
    const embedding = Array.from(vector ?? [])
    const byVector = await read(
      SearchAnswer,
      postJson('/v1/search', { embedding, from: 'audio', to: 'visual', limit: 1 }),
    )

    assert.equal(byClip.hits[0]?.clip.id, byVector.hits[0]?.clip.id)
    assert.equal(byVector.query.seconds, null)
  })

  it('tags an upload, and a clip', async () => {
    const upload = await read(Tags, postFile('/v1/tags', 'drumroll_cc0.mp4', { limit: '3' }))
    const { clips } = await read(ClipPage, get('/v1/clips'))
    const drums = clips.find(({ path }) => path.endsWith('drumroll_cc0.mp4'))
    const clip = await read(Tags, postJson('/v1/tags', { clip: drums?.id, limit: 3 }))

    assert.equal(upload.labels.length, 3)
    assert.ok(
      upload.labels.some(({ name }) => /drum/i.test(name)),
      JSON.stringify(upload.labels),
    )
    assert.deepEqual(
      clip.labels.map(({ mid }) => mid),
      upload.labels.map(({ mid }) => mid),
    )
    assert.deepEqual(Object.keys(upload.segments[0] ?? {}), ['start', 'end', 'labels'])
  })

  it('takes an upload into the library once, and deletes it with the clip', async () => {
    const first = await postFile('/v1/clips', 'sound_misc_crow.opus', {}, 'crow.opus')
    const clip = await read(Clip, first)
    const again = await postFile('/v1/clips', 'sound_misc_crow.opus', {}, 'other.opus')

    assert.equal(first.status, 201)
    assert.equal(again.status, 200)
    assert.equal((await read(Clip, again)).id, clip.id)
    assert.deepEqual([clip.hasAudio, clip.hasVisual], [true, false])

    const removed = await fetch(`${url}/v1/clips/${clip.id}`, { method: 'DELETE' })
    assert.equal(removed.status, 204)
    await assert.rejects(access(clip.path))
    assert.deepEqual(await problem(get(`/v1/clips/${clip.id}`)), {
      status: 404,
      code: 'CLIP_NOT_FOUND',
    })
  })

  it('indexes by path inside a root only, and reveals nothing about other paths', async () => {
    const inside = await postJson('/v1/clips', { path: fixture('photo_owl.webp') })

    assert.equal(inside.status, 201)
    for (const path of [
      '/etc/passwd',
      '/nowhere/at/all',
      join(FIXTURES, '..', '..', 'package.json'),
      'relative.mp4',
    ]) {
      assert.deepEqual(
        await problem(postJson('/v1/clips', { path })),
        { status: 403, code: 'PATH_NOT_ALLOWED' },
        path,
      )
    }
  })

  it('pages through the clips', async () => {
    const ids: string[] = []
    for (let after = ''; ; ) {
      const { clips, next } = await read(ClipPage, get(`/v1/clips?limit=2${after}`))
      ids.push(...clips.map(({ id }) => id))
      if (!next) break
      after = `&after=${next}`
    }

    assert.equal(new Set(ids).size, ids.length)
    assert.equal(ids.length, (await app.gallery.catalogue.counts()).clips)
  })

  it('serves media in ranges', async () => {
    const whole = await get(`/v1/clips/${guitar}/media`)
    const part = await get(`/v1/clips/${guitar}/media`, { range: 'bytes=4-11' })

    const bytes = await readFile(fixture('guitar_cc0.mp4'))
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes)
    assert.equal(whole.headers.get('content-type'), 'video/mp4')
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes 4-11/${bytes.length}`)
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(4, 12))
    const beyond = get(`/v1/clips/${guitar}/media`, { range: 'bytes=99999999-' })
    assert.deepEqual(await problem(beyond), { status: 416, code: 'RANGE_NOT_SATISFIABLE' })
  })

  it('shows a thumbnail of what can be seen', async () => {
    const picture = await get(`/v1/clips/${guitar}/thumbnail`)
    const { clips } = await read(ClipPage, get('/v1/clips'))
    const sound = clips.find(({ hasVisual }) => !hasVisual)

    assert.equal(picture.headers.get('content-type'), 'image/jpeg')
    assert.deepEqual(
      Buffer.from(await picture.arrayBuffer()).subarray(0, 3),
      Buffer.from([0xff, 0xd8, 0xff]),
    )
    assert.deepEqual(await problem(get(`/v1/clips/${sound?.id}/thumbnail`)), {
      status: 404,
      code: 'CLIP_HAS_NO_PICTURE',
    })
  })

  it('says what it runs on', async () => {
    const system = await read(System, get('/v1/system'))
    const { labels } = await read(Labels, get('/v1/labels'))

    assert.equal(system.providers.inUse, 'cpu')
    assert.equal(system.bundle.fingerprint, app.encoder.bundle.fingerprint)
    assert.equal(labels.length, 527)
    assert.deepEqual(await read(Health, get('/healthz')), { status: 'ok' })
    assert.deepEqual(await read(Health, get('/readyz')), { status: 'ok' })
  })

  it('refuses what is no media, each with its own code, and lives', async () => {
    const zip = Buffer.concat([Buffer.from('PK\x03\x04\x14\x00', 'latin1'), randomBytes(2000)])
    const refused: Record<string, Blob> = {
      MEDIA_NOT_RECOGNISED: new Blob([randomBytes(10 * 1024 ** 2)]),
      MEDIA_IS_TEXT: new Blob([await readFile(fixture('bad_text_named.mp4'))]),
      MEDIA_IS_ARCHIVE: new Blob([zip]),
      MEDIA_EMPTY: new Blob([]),
      MEDIA_IS_PLAYLIST: new Blob(['#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n']),
    }

    for (const route of ['/v1/search', '/v1/tags', '/v1/clips']) {
      for (const [expected, file] of Object.entries(refused)) {
        const { status, code } = await problem(postFile(route, file))
        assert.equal(code, expected, route)
        assert.ok(status >= 400 && status < 500)
      }
    }
    assert.equal((await get('/readyz')).status, 200)
  })

  it('names an upload in messages by any name that the client gives it', async () => {
    for (const [given, shown] of [
      ['käse.mp4', /käse\.mp4/],
      ['../../../etc/x.mp4', /x\.mp4/],
      ['..', /upload/],
    ] as const) {
      const { detail } = await read(Problem, postFile('/v1/search', new Blob([]), {}, given))
      assert.match(detail, shown)
      assert.doesNotMatch(detail, /\.\./)
    }
  })

  it('names the field that is wrong', async () => {
    assert.deepEqual(await problem(postJson('/v1/search', { clip: guitar, to: 'smell' })), {
      status: 400,
      code: 'REQUEST_INVALID',
    })
    assert.deepEqual(await problem(postJson('/v1/search', {})), {
      status: 400,
      code: 'REQUEST_INVALID',
    })
    assert.deepEqual(await problem(postJson('/v1/search', { clip: guitar, start: 5, end: 2 })), {
      status: 422,
      code: 'RANGE_EMPTY',
    })
    assert.deepEqual(await problem(postFile('/v1/search', 'photo_dog.webp', { limit: '9999' })), {
      status: 400,
      code: 'REQUEST_INVALID',
    })
    assert.deepEqual(await problem(get('/v1/clips?limit=0')), {
      status: 400,
      code: 'REQUEST_INVALID',
    })
    assert.deepEqual(await problem(get('/v1/clips?limits=5')), {
      status: 400,
      code: 'REQUEST_INVALID',
    })
    const inAddress = await read(Problem, postFile('/v1/search?limit=5', 'photo_dog.webp'))
    assert.match(inAddress.detail, /limit.*form/)
    const detail = (body: object) =>
      read(Problem, postJson('/v1/search', body)).then((answer) => answer.detail)
    assert.match(await detail({ clip: guitar, to: 'smell' }), /^to: /)
    assert.match(await detail({ embedding: ['x'], to: 'audio' }), /^embedding\.0: /)
    for (const [type, body] of [
      ['multipart/form-data', 'x'],
      ['multipart/form-data; boundary=x', '--x\r\ncut'],
    ] as const) {
      const cut = fetch(`${url}/v1/search`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      })
      assert.deepEqual(await problem(cut), { status: 400, code: 'REQUEST_INVALID' }, type)
    }
    const noBody = fetch(`${url}/v1/search`, { method: 'POST' })
    assert.deepEqual(await problem(noBody), { status: 400, code: 'REQUEST_INVALID' })
    const noFile = fetch(`${url}/v1/search`, { method: 'POST', body: new FormData() })
    assert.deepEqual(await problem(noFile), { status: 400, code: 'REQUEST_INVALID' })
    const broken = fetch(`${url}/v1/search`, {
      method: 'POST',
      body: '{',
      headers: { 'content-type': 'application/json' },
    })
    assert.deepEqual(await problem(broken), { status: 400, code: 'REQUEST_INVALID' })
    const types = ['application/xml', 'text/plain', 'application/x-www-form-urlencoded', 'x']
    for (const path of ['/v1/search', '/v1/tags', '/v1/clips', '/v1/jobs']) {
      for (const type of types) {
        const other = fetch(url + path, {
          method: 'POST',
          body: '{}',
          headers: { 'content-type': type },
        })
        const expected = { status: 415, code: 'REQUEST_TYPE_UNSUPPORTED' }
        assert.deepEqual(await problem(other), expected, `${path} ${type}`)
      }
    }
    assert.deepEqual(await problem(get('/v1/nowhere')), { status: 404, code: 'ROUTE_NOT_FOUND' })
  })

  it('refuses a JSON body that is too large', async () => {
    const embedding = Array.from({ length: 400_000 }, () => 0.125)

    assert.deepEqual(await problem(postJson('/v1/search', { embedding })), {
      status: 413,
      code: 'UPLOAD_TOO_LARGE',
    })
  })

  it('reports that the file of a clip is missing', async (test) => {
    const dir = await temporaryDir(test)
    const path = join(dir, 'gone.webp')
    await writeFile(path, await readFile(fixture('photo_cow.webp')))
    const { clip } = await ingestFile(path, app)
    await rm(path)

    assert.deepEqual(await problem(get(`/v1/clips/${clip.id}/media`)), {
      status: 410,
      code: 'CLIP_FILE_MISSING',
    })
  })

  it('is what openapi.yaml says it is', async () => {
    assert.equal(
      openapiYaml(http),
      await readFile(join(PACKAGE_DIR, 'openapi.yaml'), 'utf8'),
      'run `npm run openapi`',
    )
  })

  it('leaves no upload behind, and clears what a killed process left', async () => {
    const uploads = join(app.config.library.dataDir, 'uploads')
    assert.deepEqual(await readdir(uploads), [])

    await writeFile(join(uploads, 'partial'), '')
    await new UploadReceiver(uploads).sweep()

    assert.deepEqual(await readdir(uploads), [])
  })
})
