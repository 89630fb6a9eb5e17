import type { FastifyPluginAsync } from 'fastify'
import type { Span } from '../../domain/clip.js'
import { AppError } from '../../errors.js'
import { SEARCH_LIMITS } from '../../search/limits.js'
import { type SearchRequest, search } from '../../search/search.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import type { HttpDeps } from '../http-deps.js'
import { HTTP_LIMITS } from '../limits.js'
import { ENCODING, FORM, problems } from '../responses.js'
import { ClipQuery, EmbeddingQuery, NoQuery, SearchAnswer, SearchForm } from '../schemas.js'
import { parse } from '../upload.js'

/** Registers the route that searches. */
export const searchRoutes: FastifyPluginAsync<HttpDeps> = async (http, { app, receiver }) => {
  const schema = {
    operationId: 'search',
    summary: 'Find clips that match a file, a clip or an embedding',
    querystring: NoQuery,
    response: {
      200: SearchAnswer,
      ...problems(
        ...FORM,
        ...ENCODING,
        'CLIP_NOT_FOUND',
        'FILE_NOT_FOUND',
        'PATH_NOT_ALLOWED',
        'FINGERPRINT_MISMATCH',
        'EMBEDDING_SIZE',
        'QUERY_AMBIGUOUS',
        'QUERY_LACKS_MODALITY',
        'RANGE_EMPTY',
      ),
    },
  }
  http.post('/v1/search', { schema }, async (request, reply) => {
    const signal = abortOnDisconnect(reply)
    if (!request.isMultipart()) {
      const asked = toQuery(request.body)
      const within = app.servedFolders
      return app.run((deps) => search(asked, { ...deps, within, signal }))
    }
    await using upload = await receiver.receive(request, {
      maxBytes: SEARCH_LIMITS.queryBytes,
      fields: SearchForm,
      signal,
    })
    const { limit, from, to, ...range } = upload.fields
    const query = { kind: 'file', file: upload.file, from, to, range: toSpan(range) } as const
    const asked = { query, limit }
    return await app.run((deps) => search(asked, { ...deps, signal }))
  })
}

/** Converts a JSON body to a query. Selects one schema, so errors name only its fields. */
function toQuery(body: unknown): SearchRequest {
  if (typeof body === 'object' && body !== null && 'embedding' in body) {
    const { embedding, limit, ...rest } = parse(EmbeddingQuery, body)
    return { query: { kind: 'embedding', vector: Float32Array.from(embedding), ...rest }, limit }
  }
  const { clip, from, to, limit, ...range } = parse(ClipQuery, body)
  return { query: { kind: 'clip', id: clip, from, to, range: toSpan(range) }, limit }
}

function toSpan({
  start,
  end,
}: {
  start?: number | undefined
  end?: number | undefined
}): Span | undefined {
  if (start === undefined && end === undefined) return undefined
  const { rangeSeconds } = HTTP_LIMITS
  if (end !== undefined && end - (start ?? 0) >= rangeSeconds) return { start: start ?? 0, end }
  const detail = `Expected a range with an \`end\` at least ${rangeSeconds} s after its \`start\`.`
  throw new AppError('RANGE_EMPTY', detail)
}
