import type { FastifyPluginAsync } from 'fastify'
import { LIMITS } from '../../config.js'
import { clipNotFound } from '../../gallery/clip-not-found.js'
import { tagFile, topTags } from '../../tagging/tag.js'
import { ENCODING, FORM, problems } from '../answers.js'
import { closedEarly } from '../closed-early.js'
import type { HttpParts } from '../parts.js'
import { NoQuery, Tags, TagsBody, TagsForm } from '../schemas.js'
import { parse } from '../upload.js'

export const tagsRoutes: FastifyPluginAsync<HttpParts> = async (http, { app, receiver }) => {
  const schema = {
    operationId: 'tag',
    summary: 'Name what is heard in a file or a clip',
    querystring: NoQuery,
    response: { 200: Tags, ...problems(...FORM, ...ENCODING, 'CLIP_NOT_FOUND') },
  }
  http.post('/v1/tags', { schema }, async (request, reply) => {
    const signal = closedEarly(reply)
    if (!request.isMultipart()) {
      const { clip, limit } = parse(TagsBody, request.body)
      return app.run(async ({ gallery: { catalogue } }) => {
        if (!(await catalogue.clip(clip))) throw clipNotFound(clip)
        return topTags(await catalogue.tags(clip), limit)
      })
    }
    await using upload = await receiver.receive(request, {
      maxBytes: LIMITS.queryUploadBytes,
      fields: TagsForm,
      signal,
    })
    const { limit } = upload.fields
    const options = { limit, longestSeconds: LIMITS.querySeconds, signal }
    return await app.run((parts) => tagFile(upload.file, parts, options))
  })
}
