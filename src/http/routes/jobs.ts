import { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { jobRequest } from '../../ingest/scan/job-request.js'
import { hasEnded } from '../../jobs/job-state.js'
import type { Job as DomainJob, Figures, JobId, Jobs } from '../../jobs/jobs.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import { allowedPath } from '../allowed-path.js'
import type { HttpDeps } from '../http-deps.js'
import { jobEvents } from '../job-events.js'
import * as schemas from '../job-schemas.js'
import { BODY, problems, WRITING } from '../responses.js'

type JobResponse = z.infer<typeof schemas.Job>

export const jobsRoutes: FastifyPluginAsync<HttpDeps> = async (fastify, { app }) => {
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const params = schemas.JobParams
  const on = <T>(work: (jobs: Jobs) => Promise<T>) =>
    app.run(({ gallery }) => work(gallery.catalogue.jobs))
  const withFigures = async (page: readonly DomainJob[]): Promise<JobResponse[]> => {
    const figures = await on((jobs) => jobs.figures(page))
    return page.map((job, i) => ({ ...job, figures: figures[i] as Figures }))
  }
  const shown = async (job: DomainJob) => (await withFigures([job]))[0] as JobResponse

  const add = {
    operationId: 'addJob',
    summary: 'Index files and folders under the allowed roots, in the background',
    headers: schemas.IdempotencyKey,
    body: schemas.JobBody,
    response: {
      202: schemas.Job,
      200: schemas.Job,
      ...problems(...BODY, ...WRITING, 'PATH_NOT_ALLOWED', 'GLOB_INVALID', 'JOB_KEY_REUSED'),
    },
  }
  http.post('/v1/jobs', { schema: add }, async ({ body, headers }, reply) => {
    const { roots } = app.config.ingest
    const sources = await Promise.all(body.sources.map((source) => allowedPath(source, roots)))
    const request = jobRequest(sources, { ...body, within: roots })
    const { job, isNew } = await app.run(({ gallery }) =>
      gallery.catalogue.jobs.create(request, headers['idempotency-key']),
    )
    return reply
      .code(isNew ? 202 : 200)
      .header('location', `/v1/jobs/${job.id}`)
      .send(await shown(job))
  })

  const list = {
    operationId: 'listJobs',
    summary: 'List jobs, newest first',
    querystring: schemas.JobsQuery,
    response: { 200: schemas.JobPage, ...problems('REQUEST_INVALID') },
  }
  http.get('/v1/jobs', { schema: list }, async ({ query: { before, limit } }) => {
    const page = await on((jobs) => jobs.jobs({ before, limit }))
    const next = page.length === limit ? (page.at(-1)?.id ?? null) : null
    return { jobs: await withFigures(page), next }
  })

  const show = {
    operationId: 'getJob',
    summary: 'Show a job',
    params,
    response: { 200: schemas.Job, ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND') },
  }
  http.get('/v1/jobs/:id', { schema: show }, async ({ params: { id } }) =>
    shown(await on((jobs) => jobs.job(id))),
  )

  const items = {
    operationId: 'listItems',
    summary: 'List the files of a job, in the order in which they were found',
    params,
    querystring: schemas.ItemsQuery,
    response: { 200: schemas.ItemPage, ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND') },
  }
  http.get(
    '/v1/jobs/:id/items',
    { schema: items },
    async ({ params: { id }, query: { status, after, limit } }) => {
      const page = await on((jobs) => jobs.items(id, { state: status, after, limit }))
      return { items: page, next: page.length === limit ? (page.at(-1)?.id ?? null) : null }
    },
  )

  const changed = {
    200: schemas.Job,
    ...problems(...BODY, ...WRITING, 'JOB_NOT_FOUND', 'JOB_STATE'),
  }
  const action = (operationId: string, summary: string) => ({
    schema: { operationId, summary, params, response: changed },
  })
  http.post(
    '/v1/jobs/:id/pause',
    action('pauseJob', 'Pause a job; what is under way waits with the rest'),
    (request) => on((jobs) => jobs.pause(request.params.id)).then(shown),
  )
  http.post(
    '/v1/jobs/:id/resume',
    action('resumeJob', 'Go on with a job that is paused'),
    (request) => on((jobs) => jobs.resume(request.params.id)).then(shown),
  )
  http.post(
    '/v1/jobs/:id/cancel',
    action('cancelJob', 'End a job; what is done stays'),
    (request) => on((jobs) => jobs.cancel(request.params.id)).then(shown),
  )
  const retry = {
    operationId: 'retryJob',
    summary: 'Try the files again that failed: all, or those of some reasons',
    params,
    body: schemas.RetryBody,
    response: changed,
  }
  http.post('/v1/jobs/:id/retry', { schema: retry }, ({ params: { id }, body }) =>
    on((jobs) => jobs.retry(id, body?.reasons)).then(shown),
  )

  const closing = new AbortController()
  http.addHook('preClose', async () => closing.abort()) // else the server would wait for the job to end
  const events = {
    operationId: 'getJobEvents',
    summary:
      'A job as server-sent events `item` and `job`, resumed with Last-Event-ID, until it ends',
    params,
    headers: schemas.LastEventId,
    response: {
      200: {
        description: 'Events `item` and `job`, whose ids are revisions of the job.',
        content: { 'text/event-stream': { schema: schemas.Event } },
      },
      204: z.null().meta({ description: 'The job has ended, and the client has seen it all.' }),
      ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND'),
    },
  }
  const hasSeenAll = async (id: JobId, after: number) => {
    const { state, revision } = await on((jobs) => jobs.progress(id))
    return hasEnded(state) && revision <= after
  }
  // Of its own: the one that fastify derives would read the stream until the job ends.
  http.head(
    '/v1/jobs/:id/events',
    { schema: { ...events, hide: true } },
    async (request, reply) => {
      const { params, headers } = request
      if (await hasSeenAll(params.id, headers['last-event-id'] ?? 0))
        return reply.code(204).send(null)
      return reply.type('text/event-stream').header('cache-control', 'no-cache').send('')
    },
  )
  http.get(
    '/v1/jobs/:id/events',
    { schema: events, exposeHeadRoute: false },
    async ({ params: { id }, headers }, reply) => {
      const after = headers['last-event-id'] ?? 0
      if (await hasSeenAll(id, after)) return reply.code(204).send(null) // tells an EventSource to stay away
      const signal = AbortSignal.any([closing.signal, abortOnDisconnect(reply)])
      const stream = Readable.from(jobEvents(id, on, { after, signal }))
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-cache')
        .header('x-accel-buffering', 'no')
        .send(stream)
    },
  )
}
