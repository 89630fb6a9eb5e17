import type { FastifyPluginAsync } from 'fastify'
import { clipNotFound } from '../../gallery/catalogue/clip-id.js'
import { SEARCH_LIMITS } from '../../search/limits.js'
import { tagFile, topTags } from '../../tagging/tag.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import type { HttpDeps } from '../http-deps.js'
import { ENCODING, FORM, problems } from '../responses.js'
import { NoQuery, Tags, TagsBody, TagsForm } from '../schemas.js'
import { parse } from '../upload.js'

/** Registers the route that tags a file or a clip. */
export const tagsRoutes: FastifyPluginAsync<HttpDeps> = async (http, { app, receiver }) => {
  const schema = {
    operationId: 'tag',
    summary: 'Return the labels of the sounds in a file or a clip',
    querystring: NoQuery,
    response: { 200: Tags, ...problems(...FORM, ...ENCODING, 'CLIP_NOT_FOUND') },
  }
  http.post('/v1/tags', { schema }, async (request, reply) => {
    const signal = abortOnDisconnect(reply)
    if (!request.isMultipart()) {
      const { clip, limit } = parse(TagsBody, request.body)
      return app.run(async ({ gallery: { catalogue } }) => {
        if (!(await catalogue.clip(clip))) throw clipNotFound(clip)
        return topTags(await catalogue.tags(clip), limit)
      })
    }
    await using upload = await receiver.receive(request, {
      maxBytes: SEARCH_LIMITS.queryBytes,
      fields: TagsForm,
      signal,
    })
    const { limit } = upload.fields
    const options = { limit, longestSeconds: SEARCH_LIMITS.querySeconds, signal }
    return await app.run((deps) => tagFile(upload.file, deps, options))
  })
}
