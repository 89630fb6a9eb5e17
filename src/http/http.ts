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
import { closeUnusedConnections } from './unused-connections.js'
import { UploadReceiver } from './upload.js'

const SWEEP_MS = 3_600_000

/** Builds the HTTP server of an app. The server does not listen yet. */
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
    return503OnClosing: false, // its answer is not a problem document
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    frameworkErrors: sendProblem,
    clientErrorHandler: answerClientError,
  })
  passOnExpectations(http)
  closeUnusedConnections(http)
  const methodsAt = collectMethods(http)
  let isClosing = false
  http.addHook('preClose', async () => {
    isClosing = true
  })
  http.addHook('onRequest', async (request) => {
    if (isClosing) throw new AppError('SHUTTING_DOWN', 'The server is stopping: try again later.')
    refuseMalformed(request)
    refuseForeign(request, app.config.http)
  })
  http.addHook('onResponse', async ({ raw }) => {
    if (isClosing) raw.socket.destroySoon() // an open connection would keep the server running
  })
  acceptEmptyJson(http)
  http.removeContentTypeParser('text/plain') // no route accepts it
  http.setValidatorCompiler(validatorCompiler)
  http.setSerializerCompiler(serializerCompiler)
  http.setErrorHandler(sendProblem)
  // Runs before the body is read, because the body may have a type that no route accepts.
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

/** Creates the error for a missing route: an unknown path, or a method that the path lacks. */
function noRoute(
  method: string,
  url: string,
  reply: FastifyReply,
  methodsAt: (path: string) => readonly string[],
): AppError {
  const path = url.split('?', 1)[0] ?? ''
  const allowed = methodsAt(path)
  if (allowed.length === 0) {
    const detail = `The path ${path.slice(0, 200)} does not exist. openapi.yaml lists all paths.`
    return new AppError('ROUTE_NOT_FOUND', detail)
  }
  reply.header('allow', allowed.join(', '))
  const detail = `The path does not support ${method}. It supports ${allowed.join(', ')}.`
  return new AppError('METHOD_NOT_ALLOWED', detail)
}

/** Accepts an empty body of type JSON, because some clients send that type without a body. */
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

/** Deletes partial uploads, and stored files and thumbnails that have no clip. */
async function sweep({ app, receiver, uploads, thumbnailDir }: HttpDeps): Promise<void> {
  await receiver.sweep()
  await app.run(async ({ gallery }) => {
    await uploads.sweep(gallery)
    await sweepThumbnails(thumbnailDir, gallery.catalogue.files)
  })
}
