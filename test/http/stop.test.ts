import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { start } from '../cli/earshot.js'
import { eventually } from '../eventually.js'
import { fixture, temporaryDir } from '../workplace.js'
import { FORM_TYPE, filePart, formBody, served } from './served.js'

/** Starts `earshot serve` as a process with all its files in one folder. */
async function serving(test: TestContext, settings: Record<string, string> = {}) {
  const dir = await temporaryDir(test)
  const [data, temporary] = [join(dir, 'data'), join(dir, 'tmp')]
  await mkdir(temporary)
  const env = { EARSHOT_BUNDLE: fixture('tiny-cavmae'), TMPDIR: temporary, ...settings }
  const child = start(['serve', '--port', '0', '--json', '--data', data], env)
  test.after(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const [line] = await once(child.stdout, 'data')
  const { url } = JSON.parse(String(line)) as { url: string }
  const leaves = async () => ({
    uploads: await readdir(join(data, 'uploads')),
    temporary: await readdir(temporary),
    processes: await processesWith(temporary),
  })
  return { child, url, leaves, ended }
}

const NOTHING = { uploads: [], temporary: [], processes: [] }

/** Returns the ids of processes whose environment contains a text. */
async function processesWith(wanted: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = ids.map(async (id) => {
    const environment = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => '')
    return environment.includes(wanted) ? [id] : []
  })
  return (await Promise.all(found)).flat()
}

function connected(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname)
}

const takesConnections = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connected(url)
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

describe('a server that stops', () => {
  it('is unready for a while and still answers, then ends and leaves nothing', async (test) => {
    const { child, url, ended, leaves } = await serving(test, { EARSHOT_DRAIN_SECONDS: '2' })
    const get = async (path: string) => (await fetch(url + path)).status
    assert.equal(await get('/readyz'), 200)

    const stopped = performance.now()
    child.kill('SIGTERM')
    await eventually(
      () => get('/readyz'),
      (status) => status === 503,
      { withinMs: 1500 },
    )
    const unready = await (await fetch(`${url}/readyz`)).json()
    const others = [await get('/v1/labels'), await get('/v1/clips'), await get('/healthz')]

    assert.deepEqual(unready, { status: 'unready', failing: ['draining'] })
    assert.deepEqual(others, [200, 200, 200])
    assert.deepEqual(await ended, [0, null])
    assert.ok(performance.now() - stopped >= 2000)
    assert.deepEqual(await leaves(), NOTHING)
  })

  it('finishes what is under way and refuses what comes later with a problem', async (test) => {
    const { child, url, ended, leaves } = await serving(test)
    const { host } = new URL(url)
    const form = formBody([filePart(await readFile(fixture('photo_dog.webp')), 'dog.webp')])
    const upload = connected(url)
    const head = ['POST /v1/search HTTP/1.1', `Host: ${host}`, `Content-Length: ${form.length}`]
    upload.write([...head, `Content-Type: ${FORM_TYPE['content-type']}`, '', ''].join('\r\n'))
    upload.write(form.subarray(0, 1000))
    const late = connected(url)
    late.write('GET /v1/labels HTTP/1.1\r\n')
    await eventually(leaves, ({ uploads }) => uploads.length === 1)

    child.kill('SIGTERM')
    await eventually(
      () => takesConnections(url),
      (isTaken) => !isTaken,
    )
    late.write(`Host: ${host}\r\n\r\n`)
    const refused = await text(late)
    upload.write(form.subarray(1000))
    const answered = await text(upload)

    assert.match(refused, /^HTTP\/1.1 503 /)
    assert.match(refused, /\r\nretry-after: [1-9]/i)
    assert.match(refused, /\r\ncontent-type: application\/problem\+json/i)
    assert.match(refused, /"code":"SHUTTING_DOWN"/)
    assert.match(answered, /^HTTP\/1.1 200 /)
    assert.deepEqual(await ended, [0, null])
    assert.deepEqual(await leaves(), NOTHING)
  })

  it('ends the events of jobs, which would keep it open', async (test) => {
    const { app, http, url } = await served(test)
    const { jobs } = app.gallery.catalogue
    const { job } = await jobs.create(jobRequest([await temporaryDir(test)]))
    await jobs.pause(job.id)
    const events = connected(url)
    events.write(`GET /v1/jobs/${job.id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await once(events, 'data')
    const ended = text(events)

    const isClosed = http.close().then(() => true)

    assert.ok(await Promise.race([isClosed, setTimeout(5000, false, { ref: false })]))
    assert.match(await ended, /0\r\n\r\n$/)
  })
})
