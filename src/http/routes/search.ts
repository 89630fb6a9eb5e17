import type { FastifyPluginAsync } from 'fastify'
import { LIMITS } from '../../config.js'
import type { Span } from '../../domain.js'
import { AppError } from '../../errors.js'
import type { Query } from '../../search/query.js'
import { search } from '../../search/search.js'
import { answers } from '../answers.js'
import { closedEarly } from '../closed-early.js'
import type { HttpParts } from '../parts.js'
import { NoQuery, SearchAnswer, SearchBody, SearchForm } from '../schemas.js'
import { parse } from '../upload.js'

export const searchRoutes: FastifyPluginAsync<HttpParts> = async (http, { app, receiver }) => {
  const schema = {
    operationId: 'search',
    summary: 'Find what goes with a file, a clip or an embedding',
    querystring: NoQuery,
    response: answers(SearchAnswer),
  }
  http.post('/v1/search', { schema }, async (request, reply) => {
    const signal = closedEarly(reply)
    if (!request.isMultipart()) {
      const body = parse(SearchBody, request.body)
      const asked = { query: toQuery(body), limit: body.limit }
      const within = app.servedFolders
      return app.run((parts) => search(asked, { ...parts, within, signal }))
    }
    await using upload = await receiver.receive(request, {
      maxBytes: LIMITS.queryUploadBytes,
      fields: SearchForm,
      signal,
    })
    const { limit, from, to, ...range } = upload.fields
    const query = { kind: 'file', file: upload.file, from, to, range: toSpan(range) } as const
    const asked = { query, limit }
    return await app.run((parts) => search(asked, { ...parts, signal }))
  })
}

function toQuery(asked: SearchBody): Query {
  if ('clip' in asked) return { kind: 'clip', id: asked.clip, from: asked.from, to: asked.to, range: toSpan(asked) }
  const { embedding, fingerprint, from, to } = asked
  return { kind: 'embedding', vector: Float32Array.from(embedding), fingerprint, from, to }
}

function toSpan({ start, end }: { start?: number | undefined; end?: number | undefined }): Span | undefined {
  if (start === undefined && end === undefined) return undefined
  if (end === undefined || end <= (start ?? 0)) {
    throw new AppError('REQUEST_INVALID', 'Expected a range with an `end` after its `start`.')
  }
  return { start: start ?? 0, end }
}
