import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { LIMITS, PACKAGE_DIR } from '../../config.js'
import { ffmpegBuild } from '../../media/ffmpeg-build.js'
import { answers } from '../answers.js'
import type { HttpParts } from '../parts.js'
import { Health, Labels, System } from '../schemas.js'

export const systemRoutes: FastifyPluginAsync<HttpParts> = async (fastify, { app }) => {
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const { version } = JSON.parse(await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8'))

  const labels = { operationId: 'listLabels', summary: 'The classes that tags come from', response: answers(Labels) }
  http.get('/v1/labels', { schema: labels }, async () =>
    app.run(async ({ encoder }) => ({ labels: encoder.bundle.classes })),
  )

  const system = {
    operationId: 'getSystem',
    summary: 'What runs here: bundle, provider in use, ffmpeg, library, limits',
    response: answers(System),
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
        limits: LIMITS,
      }
    })
  })

  const live = { operationId: 'live', summary: 'Whether the process lives', response: answers(Health) }
  http.get('/healthz', { schema: live }, async () => ({ status: 'ok' as const }))

  const ready = {
    operationId: 'ready',
    summary: 'Whether it can answer queries',
    response: { ...answers(Health), 503: Health },
  }
  http.get('/readyz', { schema: ready }, async (_, reply) => {
    const isReady = await app.run(async ({ encoder, gallery }) => {
      await gallery.catalogue.head()
      return encoder.alive
    })
    return isReady ? { status: 'ok' as const } : reply.code(503).send({ status: 'unready' as const })
  })
}
