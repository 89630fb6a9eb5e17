import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { AppError } from '../../src/errors.js'
import { buildHttp } from '../../src/http/http.js'
import { STATUS } from '../../src/http/problems.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { Hang, threadsOf } from '../encoder/threads.js'
import { eventually } from '../eventually.js'
import { make, withFake } from '../media/helpers.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { codesOf, expectDocumented, isDocumented, paths } from './documented.js'
import { filePart, formField, postForm, served } from './served.js'

async function raw(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(request)
  return await text(socket)
}

interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
}

const problem = async (response: Response): Promise<Problem> => {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  return (await response.json()) as Problem
}

const JSON_TYPE = { 'content-type': 'application/json' }

async function withClip(test: TestContext) {
  const server = await served(test)
  const { clip } = await ingestFile(fixture('guitar_cc0.mp4'), server.app)
  server.app.sources.add([clip.path])
  const search = (body: unknown) =>
    fetch(`${server.url}/v1/search`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify(body),
    })
  return { ...server, clip, search }
}

describe('an error', () => {
  it('before the router is a problem, too', async (test) => {
    const { url } = await served(test)
    const host = `Host: ${new URL(url).host}\r\n`
    const requests = {
      'a bad escape': `GET /v1/clips/%ZZ HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
      'a long id': `GET /v1/clips/${'a'.repeat(200)} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
      'large headers': `GET /healthz HTTP/1.1\r\n${host}X: ${'a'.repeat(20_000)}\r\n\r\n`,
      'no HTTP': 'hello\r\n\r\n',
      'a bad chunk': `POST /v1/search HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    }
    for (const [what, request] of Object.entries(requests)) {
      const answer = await raw(url, request)
      assert.match(answer, /^HTTP\/1.1 4\d\d/, what)
      assert.match(answer, /content-type: application\/problem\+json/i, what)
      assert.match(answer, /"code":"[A-Z_]+"/, what)
    }
  })

  it('that node would answer itself is a problem of ours', async (test) => {
    const { url } = await served(test)
    const host = `Host: ${new URL(url).host}`
    const ask = (...headers: string[]) =>
      raw(url, ['GET /v1/labels HTTP/1.1', ...headers, 'Connection: close', '', ''].join('\r\n'))

    for (const [status, code, ...headers] of [
      [400, 'REQUEST_INVALID'],
      [400, 'REQUEST_INVALID', 'Expect: gold'],
      [421, 'HOST_NOT_ALLOWED', 'Host:'],
      [417, 'EXPECTATION_FAILED', host, 'Expect: gold'],
    ] as const) {
      const answer = await ask(...headers)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status}`), headers.join())
      assert.match(answer, /content-type: application\/problem\+json/i)
      assert.match(answer, new RegExp(`"code":"${code}".*"requestId"`))
    }
    assert.match(await ask(host, 'Expect: 100-continue'), /^HTTP\/1.1 100 .*\r\n\r\nHTTP\/1.1 200/)
    const old = await raw(url, 'GET /v1/labels HTTP/1.0\r\nExpect: gold\r\n\r\n')
    assert.match(old, /^HTTP\/1.1 200/)
  })

  it('of the method says which are allowed', async (test) => {
    const { url } = await served(test)

    const answer = await fetch(`${url}/v1/clips/abc/media`, { method: 'DELETE' })
    const other = await fetch(`${url}/v1/nothing`, { method: 'DELETE' })

    assert.equal((await problem(answer)).code, 'METHOD_NOT_ALLOWED')
    assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET, HEAD'])
    assert.deepEqual([other.status, (await problem(other)).code], [404, 'ROUTE_NOT_FOUND'])
  })

  it('does not grow with the question', async (test) => {
    const { url, search } = await withClip(test)
    const long = 'x'.repeat(100_000)
    const answers = [
      await search({ clip: long }),
      await search({ [long]: 1 }),
      await search({ clip: 'a', to: long }),
      await search({ embedding: Array(9000).fill('x') }),
      await fetch(`${url}/v1/clips?${'x'.repeat(8000)}=1`),
      await fetch(`${url}/v1/${'x'.repeat(8000)}`),
      await fetch(`${url}/v1/jobs`, {
        method: 'POST',
        headers: { ...JSON_TYPE, 'idempotency-key': 'k'.repeat(8000) },
        body: JSON.stringify({ sources: [] }),
      }),
    ]
    for (const answer of answers) {
      const body = await answer.text()
      assert.ok(answer.status >= 400 && answer.status < 500, body.slice(0, 200))
      assert.ok(body.length < 5000, `${body.length} bytes`)
    }
  })

  it('explains the kind of query that was meant', async (test) => {
    const { search } = await withClip(test)

    const byClip = await problem(await search({ clip: 5, limit: 'x', start: 'y', end: 'z' }))
    const byVector = await problem(await search({ embedding: 'x', from: 'nose', limit: 0 }))

    assert.match(byClip.detail, /clip: .*limit: .*start: .*end: /)
    assert.doesNotMatch(byClip.detail, /embedding/)
    assert.match(byVector.detail, /embedding: /)
    assert.doesNotMatch(byVector.detail, /clip/)
  })
})

describe('a request', () => {
  it('with a JSON type and no body is taken where no body is needed', async (test) => {
    const { app, url, clip } = await withClip(test)
    const dir = await temporaryDir(test)
    const { job } = await app.gallery.catalogue.jobs.create(jobRequest([dir]))
    const send = async (method: string, path: string) =>
      (await fetch(url + path, { method, headers: JSON_TYPE })).status

    assert.equal(await send('POST', `/v1/jobs/${job.id}/pause`), 200)
    assert.equal(await send('POST', `/v1/jobs/${job.id}/resume`), 200)
    assert.equal(await send('POST', `/v1/jobs/${job.id}/cancel`), 200)
    assert.equal(await send('POST', `/v1/jobs/${job.id}/retry`), 409)
    assert.equal(await send('DELETE', `/v1/clips/${clip.id}`), 204)
    assert.equal(await send('POST', '/v1/search'), 400)
  })

  it('has numbers as numbers in JSON, and as text in an address', async (test) => {
    const { url, clip, search } = await withClip(test)
    for (const limit of ['5', true, [7], null, 1.5, 1e300]) {
      assert.equal(
        (await search({ clip: clip.id, from: 'audio', limit })).status,
        400,
        String(limit),
      )
    }
    const get = async (query: string) => (await fetch(`${url}/v1/clips?${query}`)).status
    assert.equal(await get('limit=5'), 200)
    for (const limit of ['', '%20', '0x10', '1e', 'true', '5&limit=6', '-1', '9007199254740993']) {
      assert.equal(await get(`limit=${limit}`), 400, limit)
    }
    assert.equal((await fetch(`${url}/v1/clips/`)).status, 200)
  })

  it('for a range that is none does not blame the clip', async (test) => {
    const { clip, search } = await withClip(test)
    const ask = async (start: number, end: number) => {
      const answer = await search({ clip: clip.id, from: 'audio', start, end })
      return answer.status === 200 ? 'fine' : (await problem(answer)).code
    }

    assert.equal(await ask(0, 2), 'fine')
    assert.equal(await ask(1e-9, 2), 'fine')
    assert.equal(await ask(clip.seconds - 1, clip.seconds + 5), 'fine')
    assert.equal(await ask(1e15, 1e15 + 1), 'REQUEST_INVALID')
    for (const [start, end] of [
      [1e-9, 2e-9],
      [clip.seconds, clip.seconds + 1],
      [5000, 5001],
      [2, 1],
    ] as const) {
      assert.equal(await ask(start, end), 'RANGE_EMPTY', `${start} to ${end}`)
    }
  })

  it('for a range that is none does not blame an upload', async (test) => {
    const { url } = await served(test)
    const folder = await temporaryDir(test)
    const live = ['-c:v', 'libx264', '-f', 'matroska', '-live', '1']
    const path = await make(join(folder, 'live.mkv'), ['testsrc2=s=64x64:r=10:d=4'], live)
    const file = filePart(await readFile(path), 'live.mkv')
    const ask = async (start: number, end: number) => {
      const parts = [file, formField('start', start), formField('end', end)]
      const answer = await postForm(`${url}/v1/search`, parts)
      return answer.status === 200 ? 'fine' : (await problem(answer)).code
    }

    assert.equal(await ask(1e-9, 2), 'fine')
    assert.equal(await ask(60, 62), 'RANGE_EMPTY')
    assert.equal(await ask(1e15, 1e15 + 1), 'REQUEST_INVALID')
  })

  it('for a file states its type, length and conditions', async (test) => {
    const { url, clip } = await withClip(test)
    const media = (headers: Record<string, string>) =>
      fetch(`${url}/v1/clips/${clip.id}/media`, { headers })

    const beyond = await media({ range: 'bytes=999999999-' })
    const unlike = await media({ 'if-match': '"other"' })
    const etag = (await media({})).headers.get('etag') ?? ''
    const head = `GET /v1/clips/${clip.id}/media HTTP/1.1\r\nHost: localhost\r\nConnection: close`
    const same = await raw(url, `${head}\r\nIf-None-Match: ${etag}\r\n\r\n`)

    assert.equal(beyond.status, 416)
    assert.equal(beyond.headers.get('content-range'), `bytes */${clip.bytes}`)
    assert.equal((await problem(beyond)).code, 'RANGE_NOT_SATISFIABLE')
    assert.deepEqual([unlike.status, (await problem(unlike)).code], [412, 'PRECONDITION_FAILED'])
    assert.match(same, /^HTTP\/1.1 304/)
    const thumbnail = await fetch(`${url}/v1/clips/${clip.id}/thumbnail`)
    assert.match(thumbnail.headers.get('cache-control') ?? '', /^private.*max-age=[1-9]/)
  })
})

it('answers a new clip with its address', async (test) => {
  const { url } = await served(test, { EARSHOT_ROOTS: fixture('.') })

  const answer = await fetch(`${url}/v1/clips`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ path: fixture('photo_dog.webp') }),
  })
  const { id } = (await answer.json()) as { id: string }

  assert.deepEqual([answer.status, answer.headers.get('location')], [201, `/v1/clips/${id}`])
})

it('stops at once although a connection never sent a request', async (test) => {
  const { http, url } = await served(test)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  const stopped = Promise.all([http.close(), closed]).then(() => 'stopped')

  assert.equal(await Promise.race([stopped, setTimeout(10_000, 'still running')]), 'stopped')
})

it('runs nothing for clients that request the head of events, or disconnect', async (test) => {
  const { app, url } = await served(test)
  const dir = await temporaryDir(test)
  const { jobs } = app.gallery.catalogue
  const { job } = await jobs.create(jobRequest([dir]))
  await jobs.pause(job.id)
  let asked = 0
  const { progress } = jobs
  jobs.progress = async (id) => {
    asked++
    return progress.call(jobs, id)
  }

  for (let i = 0; i < 50; i++) {
    const head = await fetch(`${url}/v1/jobs/${job.id}/events`, { method: 'HEAD' })
    assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'text/event-stream'])
    const abort = new AbortController()
    const events = await fetch(`${url}/v1/jobs/${job.id}/events`, { signal: abort.signal })
    await events.body?.getReader().read()
    abort.abort()
  }
  await setTimeout(700)
  asked = 0
  await setTimeout(1500)

  assert.equal(asked, 0)
})

describe('a server that cannot work', () => {
  const ready = async (url: string) => {
    const answer = await fetch(`${url}/readyz`)
    const { failing = [] } = (await answer.json()) as { failing?: string[] }
    return [answer.status, ...failing]
  }

  it('names what makes it unready: no ffmpeg, no folder, a stop in preparation', async (test) => {
    const { app, url } = await served(test)
    const dir = await temporaryDir(test)
    assert.deepEqual(await ready(url), [200])

    await withFake(dir, null, async () => assert.deepEqual(await ready(url), [503, 'ffmpeg']))

    const uploads = join(app.config.library.dataDir, 'uploads')
    await rm(uploads, { recursive: true })
    assert.deepEqual(await ready(url), [503, 'uploads'])
  })

  it('starts its encoder again when its thread has died', async (test) => {
    const hangs: Hang[] = []
    const FIRST_THREADS = 1 // after the encoder's, that of the vector index
    const threads = threadsOf(test, (thread, before) => {
      const isRestarted = before.length > FIRST_THREADS
      if (isRestarted) hangs.push(new Hang(thread))
    })
    const { url, search, clip } = await withClip(test)
    const range = { clip: clip.id, from: 'audio', start: 0, end: 2 }
    assert.equal((await search(range)).status, 200)

    await threads[0]?.terminate()
    const refused = await search(range)
    assert.deepEqual([refused.status, (await problem(refused)).code], [503, 'ENCODER_RESTARTING'])
    assert.ok(Number(refused.headers.get('retry-after')) > 0)
    assert.deepEqual(await ready(url), [503, 'encoder'])

    await eventually(
      () => hangs.length,
      (count) => count === 1,
    )
    hangs[0]?.release()
    await eventually(
      () => ready(url),
      ([status]) => status === 200,
    )
    assert.equal((await search(range)).status, 200)
  })
})

describe('the description of a route', () => {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ of: `${method} ${path}`, operation })),
  )

  it('lists the codes of its problems, each under its own status', () => {
    assert.ok(operations.length > 10)
    for (const { of, operation } of operations) {
      const statuses = Object.keys(operation.responses).map(Number)
      for (const status of statuses.filter((status) => status >= 400)) {
        const codes = codesOf(operation, status)
        assert.ok(codes.length > 0, `${of} ${status}`)
        for (const code of codes) {
          assert.equal(STATUS[code as keyof typeof STATUS], status, `${of} ${code}`)
        }
      }
    }
  })

  it('lists the codes that every route has, where it lists others of their status, too', () => {
    for (const { of, operation } of operations) {
      const shared = codesOf(operation)
      assert.ok(shared.includes('SHUTTING_DOWN'), of)
      for (const code of shared) {
        const status = STATUS[code as keyof typeof STATUS]
        assert.ok(codesOf(operation, status).includes(code), `${of} ${status} ${code}`)
      }
    }
  })

  it('is what a route is held to', async (test) => {
    const found = { method: 'GET', path: '/v1/clips/abc', status: 404, code: 'CLIP_NOT_FOUND' }
    assert.equal(isDocumented(found), true)
    assert.equal(isDocumented({ ...found, status: 410 }), false)
    assert.equal(isDocumented({ ...found, path: '/v1/labels' }), false)
    assert.equal(isDocumented({ ...found, path: '/v1/nothing' }), false)

    const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
    const http = await buildHttp(app)
    test.after(() => http.close())
    const checks: (() => unknown)[] = []
    expectDocumented(http, { after: (check: () => unknown) => void checks.push(check) })
    const url = await http.listen({ port: 0, host: '127.0.0.1' })
    app.gallery.catalogue.clip = async () => {
      throw new AppError('JOB_STATE', 'Not of this route.')
    }

    assert.equal((await fetch(`${url}/v1/clips/abc`)).status, 409)
    for (const check of checks) assert.throws(check, /JOB_STATE/)
    assert.equal(checks.length, 1)
  })
})
