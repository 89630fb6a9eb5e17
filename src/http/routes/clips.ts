import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Clip as DomainClip } from '../../domain/clip.js'
import { clipNotFound } from '../../gallery/catalogue/clip-id.js'
import { ingestFile } from '../../ingest/ingest-file.js'
import { links } from '../../search/search.js'
import { topTags } from '../../tagging/tag.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import { allowedPath } from '../allowed-path.js'
import type { HttpDeps } from '../http-deps.js'
import { HTTP_LIMITS } from '../limits.js'
import { BODY, ENCODING, FORM, problems, WRITING } from '../responses.js'
import {
  Clip,
  ClipBody,
  ClipForm,
  ClipPage,
  ClipParams,
  ClipsQuery,
  ClipWithTags,
  NoQuery,
} from '../schemas.js'
import { parse } from '../upload.js'

const LABELS_SHOWN = 10
/** Codes for a clip or file that is removed while it is indexed. */
const VANISHED = ['CLIP_NOT_FOUND', 'FILE_NOT_FOUND'] as const

/** Registers the routes that add, list, return and remove clips. */
export const clipsRoutes: FastifyPluginAsync<HttpDeps> = async (
  fastify,
  { app, receiver, uploads },
) => {
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const params = ClipParams

  const add = {
    operationId: 'addClip',
    summary: 'Index an upload, or a file inside an allowed root',
    querystring: NoQuery,
    response: {
      201: Clip,
      200: Clip,
      ...problems(...FORM, ...ENCODING, ...WRITING, 'PATH_NOT_ALLOWED', ...VANISHED),
    },
  }
  http.post('/v1/clips', { schema: add }, async (request, reply) => {
    const signal = abortOnDisconnect(reply)
    const ingest = async () => {
      if (!request.isMultipart()) {
        const path = await allowedPath(parse(ClipBody, request.body).path, app.config.ingest.roots)
        const within = app.config.ingest.roots
        return app.run((deps) => ingestFile(path, { ...deps, signal }, { within }))
      }
      await using upload = await receiver.receive(request, {
        maxBytes: HTTP_LIMITS.uploadBytes,
        fields: ClipForm,
        signal,
      })
      return await app.run((deps) => uploads.add(upload, { ...deps, signal }))
    }
    const { outcome, clip } = await ingest()
    const isNew = outcome !== 'unchanged' && outcome !== 'moved'
    return reply
      .code(isNew ? 201 : 200)
      .header('location', `/v1/clips/${clip.id}`)
      .send(toClip(clip))
  })

  const list = {
    operationId: 'listClips',
    summary: 'List clips in the order of indexing',
    querystring: ClipsQuery,
    response: { 200: ClipPage, ...problems('REQUEST_INVALID', 'CLIP_NOT_FOUND') },
  }
  http.get('/v1/clips', { schema: list }, async ({ query: { after, limit } }) => {
    const clips = await app.run(({ gallery }) => gallery.catalogue.clips({ after, limit }))
    const next = clips.length === limit ? (clips.at(-1)?.id ?? null) : null
    return { clips: clips.map(toClip), next }
  })

  const show = {
    operationId: 'getClip',
    summary: 'Return a clip with its labels',
    params,
    response: { 200: ClipWithTags, ...problems('REQUEST_INVALID', 'CLIP_NOT_FOUND') },
  }
  http.get('/v1/clips/:id', { schema: show }, async ({ params: { id } }) => {
    return app.run(async ({ gallery: { catalogue } }) => {
      const clip = await catalogue.clip(id)
      if (!clip) throw clipNotFound(id)
      return { ...toClip(clip), ...topTags(await catalogue.tags(id), LABELS_SHOWN) }
    })
  })

  const remove = {
    operationId: 'removeClip',
    summary: 'Remove a clip from the library',
    params,
    response: { 204: z.null(), ...problems(...BODY, ...WRITING, 'CLIP_NOT_FOUND') },
  }
  http.delete('/v1/clips/:id', { schema: remove }, async ({ params: { id } }, reply) => {
    const removed = await app.run(({ gallery }) => uploads.remove([id], gallery))
    if (removed === 0) throw clipNotFound(id)
    return reply.code(204).send(null)
  })
}

function toClip(clip: DomainClip): z.infer<typeof Clip> {
  return { ...clip, links: links(clip.id, clip.hasVisual) }
}
