import type { FastifyPluginAsync } from 'fastify'
import { LIMITS } from '../../config.js'
import { clipNotFound } from '../../gallery/clip-not-found.js'
import { tagFile, topTags } from '../../tagging/tag.js'
import { answers } from '../answers.js'
import { closedEarly } from '../closed-early.js'
import type { HttpParts } from '../parts.js'
import { NoQuery, Tags, TagsBody, TagsForm } from '../schemas.js'
import { parse, receiveUpload } from '../upload.js'

export const tagsRoutes: FastifyPluginAsync<HttpParts> = async (http, { app, uploadDir }) => {
  const schema = {
    operationId: 'tag',
    summary: 'Name what is heard in a file or a clip',
    querystring: NoQuery,
    response: answers(Tags),
  }
  http.post('/v1/tags', { schema }, async (request, reply) => {
    if (!request.isMultipart()) {
      const { clip, limit } = parse(TagsBody, request.body)
      return app.run(async ({ gallery: { catalogue } }) => {
        if (!(await catalogue.clip(clip))) throw clipNotFound(clip)
        return topTags(await catalogue.tags(clip), limit)
      })
    }
    await using upload = await receiveUpload(request, {
      dir: uploadDir,
      maxBytes: LIMITS.queryUploadBytes,
      fields: TagsForm,
    })
    const options = { limit: upload.fields.limit, signal: closedEarly(reply) }
    return await app.run(({ encoder }) => tagFile(upload.path, encoder, options))
  })
}
