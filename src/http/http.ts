import { mkdir } from 'node:fs/promises'
import multipart from '@fastify/multipart'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { AppError } from '../errors.js'
import { sweepThumbnails } from '../ingest/thumbnails.js'
import { UploadStore } from '../ingest/uploads.js'
import { dataLayout } from '../storage/data-layout.js'
import { collectMethods } from './allowed-methods.js'
import { answerClientError } from './client-error.js'
import { refuseForeign } from './guard.js'
import type { HttpDeps } from './http-deps.js'
import { HTTP_LIMITS } from './limits.js'
import { registerOpenapi } from './openapi.js'
import { sendProblem } from './problems.js'
import { NODE_OPTIONS, passOnExpectations, refuseMalformed } from './protocol.js'
import { clipsRoutes } from './routes/clips.js'
import { jobsRoutes } from './routes/jobs.js'
import { mediaRoutes } from './routes/media.js'
import { searchRoutes } from './routes/search.js'
import { systemRoutes } from './routes/system.js'
import { tagsRoutes } from './routes/tags.js'
import { UploadReceiver } from './upload.js'

const SWEEP_MS = 3_600_000

/** The HTTP skin of an app, not yet listening. */
export async function buildHttp(
  app: HttpDeps['app'],
  isDraining: () => boolean = () => false,
): Promise<FastifyInstance> {
  const { library, log } = app.config
  const http = Fastify({
    http: NODE_OPTIONS,
    logger: { level: log, stream: process.stderr },
    bodyLimit: HTTP_LIMITS.bodyBytes,
    requestTimeout: HTTP_LIMITS.requestMs,
    return503OnClosing: false, // it would answer in words of its own
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    frameworkErrors: sendProblem,
    clientErrorHandler: answerClientError,
  })
  passOnExpectations(http)
  const methodsAt = collectMethods(http)
  let isClosing = false
  http.addHook('preClose', async () => {
    isClosing = true
  })
  http.addHook('onRequest', async (request) => {
    if (isClosing) throw new AppError('SHUTTING_DOWN', 'The server is stopping: ask again later.')
    refuseMalformed(request)
    refuseForeign(request, app.config.http)
  })
  http.addHook('onResponse', async ({ raw }) => {
    if (isClosing) raw.socket.destroySoon() // a client that keeps it would keep the server open
  })
  acceptEmptyJson(http)
  http.removeContentTypeParser('text/plain') // no route takes it
  http.setValidatorCompiler(validatorCompiler)
  http.setSerializerCompiler(serializerCompiler)
  http.setErrorHandler(sendProblem)
  // Before a body is read, which may be of a type that no route takes.
  http.addHook('onRequest', async ({ is404, method, url }, reply) => {
    if (is404) throw noRoute(method, url, reply, methodsAt)
  })
  const layout = dataLayout(library.dataDir)
  const thumbnailDir = layout.thumbnails
  const deps: HttpDeps = {
    app,
    receiver: new UploadReceiver(layout.uploads),
    uploads: new UploadStore(layout),
    thumbnailDir,
    isDraining,
  }
  await mkdir(thumbnailDir, { recursive: true })
  await sweep(deps)
  const sweeping = setInterval(() => sweep(deps).catch((error) => http.log.error(error)), SWEEP_MS)
  http.addHook('onClose', async () => clearInterval(sweeping))
  await registerOpenapi(http)
  await http.register(multipart)
  for (const routes of [
    searchRoutes,
    tagsRoutes,
    clipsRoutes,
    jobsRoutes,
    mediaRoutes,
    systemRoutes,
  ]) {
    await http.register(routes, deps)
  }
  return http
}

/** Why there is no route: nothing has this path, or it takes other methods. */
function noRoute(
  method: string,
  url: string,
  reply: FastifyReply,
  methodsAt: (path: string) => readonly string[],
): AppError {
  const path = url.split('?', 1)[0] ?? ''
  const allowed = methodsAt(path)
  if (allowed.length === 0) {
    const detail = `There is no ${path.slice(0, 200)}. openapi.yaml lists what there is.`
    return new AppError('ROUTE_NOT_FOUND', detail)
  }
  reply.header('allow', allowed.join(', '))
  const detail = `${method} is not among the methods of this path: ${allowed.join(', ')}.`
  return new AppError('METHOD_NOT_ALLOWED', detail)
}

/** A client may say that it sends JSON and send nothing, as to a route that takes no body. */
function acceptEmptyJson(http: FastifyInstance): void {
  const parseJson = http.getDefaultJsonParser('error', 'error')
  http.removeContentTypeParser('application/json')
  http.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string' },
    (request, body, done) => {
      if (body === '') done(null, undefined)
      else parseJson(request, body, done)
    },
  )
}

/** Deletes what killed or hurried processes left: partial uploads, stored files and thumbnails without a clip. */
async function sweep({ app, receiver, uploads, thumbnailDir }: HttpDeps): Promise<void> {
  await receiver.sweep()
  await app.run(async ({ gallery }) => {
    await uploads.sweep(gallery)
    await sweepThumbnails(thumbnailDir, gallery.catalogue.files)
  })
}
