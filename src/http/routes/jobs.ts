import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyPluginAsync,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { jobRequest } from '../../ingest/scan/job-request.js'
import { hasEnded } from '../../jobs/job-state.js'
import type { Job as DomainJob, Figures, JobId } from '../../jobs/jobs.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import { allowedPath } from '../allowed-path.js'
import type { HttpDeps } from '../http-deps.js'
import { jobEvents, type OnJobs } from '../job-events.js'
import * as schemas from '../job-schemas.js'
import { BODY, problems, WRITING } from '../responses.js'

type JobResponse = z.infer<typeof schemas.Job>

type Http = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** Registers the routes that add, list, return, change and follow jobs. */
export const jobsRoutes: FastifyPluginAsync<HttpDeps> = async (fastify, { app }) => {
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const withJobs: OnJobs = (work) => app.run(({ gallery }) => work(gallery.catalogue.jobs))
  addJobRoute(http, withJobs, app.config.ingest.roots)
  readRoutes(http, withJobs)
  itemsRoute(http, withJobs)
  actionRoutes(http, withJobs)
  eventsRoutes(http, withJobs)
}

function addJobRoute(http: Http, withJobs: OnJobs, roots: readonly string[]): void {
  const schema = {
    operationId: 'addJob',
    summary: 'Index files and folders inside the allowed roots in the background',
    headers: schemas.IdempotencyKey,
    body: schemas.JobBody,
    response: {
      202: schemas.Job,
      200: schemas.Job,
      ...problems(...BODY, ...WRITING, 'PATH_NOT_ALLOWED', 'GLOB_INVALID', 'JOB_KEY_REUSED'),
    },
  }
  http.post('/v1/jobs', { schema }, async ({ body, headers }, reply) => {
    const sources = await Promise.all(body.sources.map((source) => allowedPath(source, roots)))
    const request = jobRequest(sources, { ...body, within: roots })
    const key = headers['idempotency-key']
    const { job, isNew } = await withJobs((jobs) => jobs.create(request, key))
    return reply
      .code(isNew ? 202 : 200)
      .header('location', `/v1/jobs/${job.id}`)
      .send(await toJobResponse(job, withJobs))
  })
}

function readRoutes(http: Http, withJobs: OnJobs): void {
  const list = {
    operationId: 'listJobs',
    summary: 'List jobs, newest first',
    querystring: schemas.JobsQuery,
    response: { 200: schemas.JobPage, ...problems('REQUEST_INVALID') },
  }
  http.get('/v1/jobs', { schema: list }, async ({ query: { before, limit } }) => {
    const page = await withJobs((jobs) => jobs.jobs({ before, limit }))
    const next = page.length === limit ? (page.at(-1)?.id ?? null) : null
    return { jobs: await toJobResponses(page, withJobs), next }
  })

  const show = {
    operationId: 'getJob',
    summary: 'Return a job',
    params: schemas.JobParams,
    response: { 200: schemas.Job, ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND') },
  }
  http.get('/v1/jobs/:id', { schema: show }, async ({ params: { id } }) =>
    toJobResponse(await withJobs((jobs) => jobs.job(id)), withJobs),
  )
}

function itemsRoute(http: Http, withJobs: OnJobs): void {
  const schema = {
    operationId: 'listItems',
    summary: 'List the files of a job in the order of discovery',
    params: schemas.JobParams,
    querystring: schemas.ItemsQuery,
    response: { 200: schemas.ItemPage, ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND') },
  }
  http.get(
    '/v1/jobs/:id/items',
    { schema },
    async ({ params: { id }, query: { status, after, limit } }) => {
      const page = await withJobs((jobs) => jobs.items(id, { state: status, after, limit }))
      return { items: page, next: page.length === limit ? (page.at(-1)?.id ?? null) : null }
    },
  )
}

function actionRoutes(http: Http, withJobs: OnJobs): void {
  const params = schemas.JobParams
  const response = {
    200: schemas.Job,
    ...problems(...BODY, ...WRITING, 'JOB_NOT_FOUND', 'JOB_STATE'),
  }
  const action = (name: 'pause' | 'resume' | 'cancel', summary: string) => {
    const schema = { operationId: `${name}Job`, summary, params, response }
    http.post(`/v1/jobs/:id/${name}`, { schema }, async ({ params: { id } }) =>
      toJobResponse(await withJobs((jobs) => jobs[name](id)), withJobs),
    )
  }
  action('pause', 'Pause a job; files in progress return to the queue')
  action('resume', 'Resume a paused job')
  action('cancel', 'Cancel a job; indexed clips stay in the library')

  const retry = {
    operationId: 'retryJob',
    summary: 'Retry the files that failed: all of them, or those with certain reasons',
    params,
    body: schemas.RetryBody,
    response,
  }
  http.post('/v1/jobs/:id/retry', { schema: retry }, async ({ params: { id }, body }) =>
    toJobResponse(await withJobs((jobs) => jobs.retry(id, body?.reasons)), withJobs),
  )
}

const EVENTS = {
  operationId: 'getJobEvents',
  summary: 'Stream the server-sent events of a job until it ends; Last-Event-ID resumes the stream',
  params: schemas.JobParams,
  headers: schemas.LastEventId,
  response: {
    200: {
      description: 'Events `item` and `job`. Their ids are revisions of the job.',
      content: { 'text/event-stream': { schema: schemas.Event } },
    },
    204: z
      .null()
      .meta({ description: 'The job has ended and the client has received all events.' }),
    ...problems('REQUEST_INVALID', 'JOB_NOT_FOUND'),
  },
}

function eventsRoutes(http: Http, withJobs: OnJobs): void {
  const closing = new AbortController()
  http.addHook('preClose', async () => closing.abort()) // the server waits for open streams
  const hasSeenAll = async (id: JobId, after: number) => {
    const { state, revision } = await withJobs((jobs) => jobs.progress(id))
    return hasEnded(state) && revision <= after
  }

  // The HEAD route that fastify derives from GET would read the stream until the job ends.
  const head = { ...EVENTS, hide: true }
  http.head('/v1/jobs/:id/events', { schema: head }, async ({ params: { id }, headers }, reply) => {
    if (await hasSeenAll(id, headers['last-event-id'] ?? 0)) return reply.code(204).send(null)
    return reply.type('text/event-stream').header('cache-control', 'no-cache').send('')
  })

  http.get(
    '/v1/jobs/:id/events',
    { schema: EVENTS, exposeHeadRoute: false },
    async ({ params: { id }, headers }, reply) => {
      const after = headers['last-event-id'] ?? 0
      if (await hasSeenAll(id, after)) return reply.code(204).send(null) // stops an EventSource
      const signal = AbortSignal.any([closing.signal, abortOnDisconnect(reply)])
      const stream = Readable.from(jobEvents(id, withJobs, { after, signal }))
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-cache')
        .header('x-accel-buffering', 'no')
        .send(stream)
    },
  )
}

async function toJobResponse(job: DomainJob, withJobs: OnJobs): Promise<JobResponse> {
  return (await toJobResponses([job], withJobs))[0] as JobResponse
}

async function toJobResponses(
  page: readonly DomainJob[],
  withJobs: OnJobs,
): Promise<JobResponse[]> {
  const figures = await withJobs((jobs) => jobs.figures(page))
  return page.map((job, i) => ({ ...job, figures: figures[i] as Figures }))
}
