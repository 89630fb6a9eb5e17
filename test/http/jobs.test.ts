import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import type { App } from '../../src/app.js'
import { buildHttp } from '../../src/http/http.js'
import { ItemPage, Job, JobPage } from '../../src/http/job-schemas.js'
import { Problem } from '../../src/http/schemas.js'
import { JobRunner } from '../../src/ingest/runner/job-runner.js'
import { hasEnded } from '../../src/jobs/job-state.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { expectDocumented } from './documented.js'

type JobView = z.infer<typeof Job>

describe('jobs over HTTP', () => {
  let app: App
  let http: FastifyInstance
  let url: string
  let root: string
  const cleanups: (() => unknown)[] = []
  const lifetime = { after: (cleanup: () => unknown) => void cleanups.unshift(cleanup) }

  before(async () => {
    root = await temporaryDir(lifetime)
    app = await temporaryApp(lifetime, { EARSHOT_ROOTS: root })
    http = await buildHttp(app)
    expectDocumented(http, lifetime)
    lifetime.after(() => http.close())
    url = await http.listen({ port: 0, host: '127.0.0.1' })
  })
  after(async () => {
    for (const cleanup of cleanups) await cleanup()
  })

  async function folder(name: string, files: readonly string[]): Promise<string> {
    const dir = join(root, name)
    await mkdir(dir)
    for (const file of files) await copyFile(fixture(file), join(dir, file))
    return dir
  }
  const get = (path: string, headers: Record<string, string> = {}) => fetch(url + path, { headers })
  const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: 'POST',
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    })
  const job = async (response: Promise<Response>): Promise<JobView> =>
    Job.parse(await (await response).json())
  const code = async (response: Promise<Response>) =>
    Problem.parse(await (await response).json()).code
  const run = (id: number) => new JobRunner(app, { concurrency: 2, except: [], job: id }).run()

  it('makes a job once for a key, under a root only', async () => {
    const dir = await folder('once', [])
    const first = await post('/v1/jobs', { sources: [dir] }, { 'idempotency-key': 'k' })
    const again = await post('/v1/jobs', { sources: [dir] }, { 'idempotency-key': 'k' })
    const { id } = Job.parse(await first.json())

    assert.deepEqual([first.status, again.status], [202, 200])
    assert.equal(first.headers.get('location'), `/v1/jobs/${id}`)
    assert.equal(Job.parse(await again.json()).id, id)
    assert.equal(
      await code(post('/v1/jobs', { sources: [root] }, { 'idempotency-key': 'k' })),
      'JOB_KEY_REUSED',
    )
    for (const source of ['/etc', join(root, '..'), 'relative', join(root, 'nowhere')]) {
      assert.equal(await code(post('/v1/jobs', { sources: [source] })), 'PATH_NOT_ALLOWED', source)
    }
    assert.equal(await code(post('/v1/jobs', { sources: [] })), 'REQUEST_INVALID')
    assert.equal(await code(get('/v1/jobs/9999')), 'JOB_NOT_FOUND')
    assert.equal(await code(get('/v1/jobs/9999/items')), 'JOB_NOT_FOUND')
    assert.equal(await code(get('/v1/jobs/9999/events')), 'JOB_NOT_FOUND')
    assert.equal((await job(post(`/v1/jobs/${id}/cancel`))).state, 'canceled')
  })

  it('shows jobs and their files in pages', async () => {
    const dir = await folder('shown', [
      'sound_perc_bell.opus',
      'bad_empty.mp4',
      'bad_text_named.mp4',
    ])
    const { id } = await job(post('/v1/jobs', { sources: [dir] }))
    await run(id)

    const shown = await job(get(`/v1/jobs/${id}`))
    assert.deepEqual([shown.state, shown.counts.indexed, shown.counts.failed], ['partial', 1, 2])
    assert.deepEqual(shown.reasons, { MEDIA_EMPTY: 1, MEDIA_IS_TEXT: 1 })
    const page = ItemPage.parse(
      await (await get(`/v1/jobs/${id}/items?status=failed&limit=1`)).json(),
    )
    const rest = ItemPage.parse(
      await (await get(`/v1/jobs/${id}/items?status=failed&limit=1&after=${page.next}`)).json(),
    )
    assert.deepEqual(
      [...page.items, ...rest.items].map(({ reason }) => reason?.code),
      ['MEDIA_EMPTY', 'MEDIA_IS_TEXT'],
    )
    const jobs = JobPage.parse(await (await get('/v1/jobs?limit=1')).json())
    assert.deepEqual([jobs.jobs[0]?.id, jobs.next], [id, id])
    assert.equal(await code(get(`/v1/jobs/${id}/items?status=lost`)), 'REQUEST_INVALID')
  })

  it('pauses, resumes, cancels and retries', async () => {
    const dir = await folder('acted', ['sound_perc_door.opus', 'bad_empty.mp4'])
    const { id } = await job(post('/v1/jobs', { sources: [dir] }))

    assert.equal((await job(post(`/v1/jobs/${id}/pause`))).state, 'paused')
    assert.equal(await code(post(`/v1/jobs/${id}/pause`)), 'JOB_STATE')
    assert.equal((await job(post(`/v1/jobs/${id}/resume`))).state, 'queued')
    await run(id)
    assert.equal((await job(get(`/v1/jobs/${id}`))).counts.failed, 1)
    assert.equal(
      await code(post(`/v1/jobs/${id}/retry`, { reasons: ['MEDIA_STALLED'] })),
      'JOB_STATE',
    )
    await copyFile(fixture('sound_misc_crow.opus'), join(dir, 'bad_empty.mp4'))
    assert.equal((await job(post(`/v1/jobs/${id}/retry`))).counts.queued, 1)
    await run(id)
    assert.equal((await job(get(`/v1/jobs/${id}`))).state, 'succeeded')
    assert.equal(await code(post(`/v1/jobs/${id}/cancel`)), 'JOB_STATE')
  })

  it('tells of a job as it goes, from where a client left off', async () => {
    const dir = await folder('told', [
      'sound_guit_e_slide.opus',
      'sound_ambi_piano.opus',
      'bad_empty.mp4',
    ])
    const { id } = await job(post('/v1/jobs', { sources: [dir] }))
    const leaving = new AbortController()
    const events = await fetch(`${url}/v1/jobs/${id}/events`, { signal: leaving.signal })
    const running = run(id)

    const first: Event[] = []
    for await (const event of read(events)) {
      first.push(event)
      if (event.name === 'item') break
    }
    leaving.abort()
    await running
    const last = first.at(-1)?.id ?? 0
    const rest = []
    for await (const event of read(
      await get(`/v1/jobs/${id}/events`, { 'last-event-id': String(last) }),
    ))
      rest.push(event)

    assert.equal(events.headers.get('content-type'), 'text/event-stream')
    const items = [...first, ...rest].filter(({ name }) => name === 'item')
    assert.equal(items.length, 3)
    assert.equal(new Set(items.map(({ data }) => data.path)).size, 3)
    assert.ok(rest.every((event) => event.id > last))
    assert.deepEqual([rest.at(-1)?.name, rest.at(-1)?.data.state], ['job', 'partial'])
    const done = await get(`/v1/jobs/${id}/events`, { 'last-event-id': String(rest.at(-1)?.id) })
    assert.equal(done.status, 204)
  })

  it('closes while someone listens', async () => {
    const dir = await folder('open', [])
    const { id } = await job(post('/v1/jobs', { sources: [dir] }))
    const events = await get(`/v1/jobs/${id}/events`)

    await http.close()
    for await (const { name } of read(events)) assert.equal(name, 'job')
    assert.ok(!hasEnded((await app.gallery.catalogue.jobs.progress(id)).state))
  })
})

interface Event {
  readonly name: string
  readonly id: number
  readonly data: { readonly path?: string; readonly state?: string }
}

async function* read(response: Response): AsyncGenerator<Event> {
  let text = ''
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = Object.fromEntries(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      text = text.slice(end + 2)
      if (fields.event)
        yield { name: fields.event, id: Number(fields.id), data: JSON.parse(fields.data ?? '') }
    }
  }
}
