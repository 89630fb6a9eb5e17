import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { PACKAGE_DIR } from '../../config.js'
import { ffmpegBuild } from '../../media/process/ffmpeg-build.js'
import { Liveness, Readiness } from '../health.js'
import type { HttpDeps } from '../http-deps.js'
import { PUBLIC_LIMITS } from '../limits.js'
import { orProblem, problems } from '../responses.js'
import { Health, Labels, System } from '../schemas.js'

/** Registers the routes for labels, system information and health. */
export const systemRoutes: FastifyPluginAsync<HttpDeps> = async (fastify, deps) => {
  const { app } = deps
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const { version } = JSON.parse(await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8'))

  const labels = {
    operationId: 'listLabels',
    summary: 'List the labels that tags use',
    response: { 200: Labels, ...problems() },
  }
  http.get('/v1/labels', { schema: labels }, async () =>
    app.run(async ({ encoder }) => ({ labels: encoder.bundle.classes })),
  )

  const system = {
    operationId: 'getSystem',
    summary: 'Return versions, bundle, provider, library counts and limits',
    response: { 200: System, ...problems('FFMPEG_MISSING') },
  }
  http.get('/v1/system', { schema: system }, async () => {
    const { version: ffmpeg } = await ffmpegBuild()
    return app.run(async ({ encoder, gallery }) => {
      const { name, fingerprint, dimension, licence, classes, format } = encoder.bundle
      return {
        version,
        bundle: {
          name,
          fingerprint,
          dimension,
          licence,
          labels: classes.length,
          modalities: [...format.modalities],
          segmentSeconds: format.seconds,
        },
        providers: encoder.providers,
        ffmpeg,
        library: await gallery.catalogue.counts(),
        limits: PUBLIC_LIMITS,
      }
    })
  })

  const unhealthy = orProblem(503, Health, 'A check failed.')
  const live = {
    operationId: 'live',
    summary: 'Check whether the process makes progress',
    response: { 200: Health, ...problems(), 503: unhealthy },
  }
  const liveness = new Liveness(app)
  fastify.addHook('onClose', async () => liveness[Symbol.dispose]())
  http.get('/healthz', { schema: live }, async (_, reply) =>
    (await liveness.isStuck())
      ? reply.code(503).send({ status: 'stuck' })
      : { status: 'ok' as const },
  )

  const ready = {
    operationId: 'ready',
    summary: 'Check whether the server can answer queries',
    response: { 200: Health, ...problems(), 503: unhealthy },
  }
  const readiness = new Readiness(deps)
  http.get('/readyz', { schema: ready }, async (_, reply) => {
    const failing = deps.isDraining() ? ['draining'] : await readiness.failing()
    if (failing.length === 0) return { status: 'ok' as const }
    return reply
      .code(503)
      .header('retry-after', 5)
      .send({ status: 'unready' as const, failing })
  })
}
