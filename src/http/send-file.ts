import { basename, dirname } from 'node:path'
import { send } from '@fastify/send'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'

/** Contains the headers that depend on the file. */
export interface FileHeaders {
  readonly contentType: string
  readonly cacheControl: string
}

/**
 * Sends an opened file or a range of it. The caller keeps the file open until the reply closes. The
 * headers forbid scripts, because files are untrusted. Throws CLIP_FILE_MISSING,
 * PRECONDITION_FAILED, RANGE_NOT_SATISFIABLE.
 */
export async function sendFile(
  file: OpenedFile,
  request: FastifyRequest,
  reply: FastifyReply,
  { contentType, cacheControl }: FileHeaders,
): Promise<FastifyReply> {
  const path = file.pathForChildren
  const options = {
    root: dirname(path),
    dotfiles: 'allow',
    contentType: false,
    cacheControl: false,
  } as const
  const sent = await send(request.raw, encodeURIComponent(basename(path)), options)
  if (sent.type !== 'file') throw refusal(sent, file, reply)
  return reply
    .code(sent.statusCode)
    .headers(sent.headers)
    .header('content-type', contentType)
    .header('cache-control', cacheControl)
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', 'sandbox')
    .send(sent.stream)
}

function refusal(
  { statusCode, headers }: { statusCode: number; headers: Record<string, string> },
  { name }: OpenedFile,
  reply: FastifyReply,
): AppError {
  const range = headers['Content-Range']
  if (range !== undefined) reply.header('content-range', range)
  if (statusCode === 416) {
    return new AppError('RANGE_NOT_SATISFIABLE', `The range is outside the file (${range}).`)
  }
  if (statusCode === 412) {
    return new AppError(
      'PRECONDITION_FAILED',
      'The file does not match If-Match or If-Unmodified-Since.',
    )
  }
  return new AppError('CLIP_FILE_MISSING', `${name} can no longer be read.`)
}
