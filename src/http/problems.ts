import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import {
  AppError,
  ERROR_TITLES,
  type ErrorCode,
  isBusy,
  isDiskFull,
  toAppError,
} from '../errors.js'

/** Maps each error code to an HTTP status: 4xx if the client can fix the cause, 5xx otherwise. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  FILE_NOT_FOUND: 404,
  FILE_UNREADABLE: 422,
  MEDIA_EMPTY: 422,
  MEDIA_IS_TEXT: 415,
  MEDIA_IS_ARCHIVE: 415,
  MEDIA_IS_PLAYLIST: 415,
  MEDIA_NOT_RECOGNISED: 415,
  MEDIA_FORMAT_REFUSED: 415,
  MEDIA_HEIF_UNSUPPORTED: 415,
  MEDIA_DAMAGED: 422,
  MEDIA_NO_CONTENT: 422,
  MEDIA_TOO_SMALL: 422,
  MEDIA_TOO_LONG: 422,
  MEDIA_TOO_LARGE: 422,
  MEDIA_STALLED: 422,
  FFMPEG_MISSING: 503,
  BUNDLE_INVALID: 503,
  PROVIDER_UNAVAILABLE: 503,
  ENCODER_FAILED: 500,
  ENCODER_RESTARTING: 503,
  FINGERPRINT_MISMATCH: 409,
  DATA_UNUSABLE: 503,
  DATA_LOCKED: 503,
  DATA_NOT_EMPTY: 409,
  DISK_FULL: 507,
  BACKUP_INVALID: 422,
  GALLERY_RETIRED: 503,
  ADDRESS_UNAVAILABLE: 503,
  ADDRESS_EXPOSED: 500,
  HOST_NOT_ALLOWED: 421,
  ORIGIN_NOT_ALLOWED: 403,
  METHOD_NOT_ALLOWED: 405,
  PRECONDITION_FAILED: 412,
  EXPECTATION_FAILED: 417,
  CATALOGUE_NEWER: 503,
  CLIP_NOT_FOUND: 404,
  CLIP_FILE_MISSING: 410,
  CLIP_HAS_NO_PICTURE: 404,
  JOB_NOT_FOUND: 404,
  JOB_STATE: 409,
  JOB_KEY_REUSED: 409,
  ITEM_INTERRUPTED: 500,
  QUERY_AMBIGUOUS: 422,
  QUERY_LACKS_MODALITY: 422,
  MODALITY_NOT_SERVED: 422,
  EMBEDDING_SIZE: 422,
  RANGE_EMPTY: 422,
  REQUEST_INVALID: 400,
  REQUEST_TYPE_UNSUPPORTED: 415,
  UPLOAD_TOO_LARGE: 413,
  RANGE_NOT_SATISFIABLE: 416,
  PATH_NOT_ALLOWED: 403,
  ROUTE_NOT_FOUND: 404,
  CONFIG_INVALID: 500,
  USAGE: 400,
  GLOB_INVALID: 400,
  TEMP_UNUSABLE: 503,
  LIBRARY_MISSING: 404,
  SERVER_BUSY: 503,
  UPLOAD_TOO_SLOW: 408,
  SYSTEM_BUSY: 503,
  SHUTTING_DOWN: 503,
  INTERNAL: 500,
}

const RETRY_AFTER_SECONDS = 5

/** Describes an error to a client: an RFC 9457 problem with a stable `code`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly requestId?: string
  readonly errors?: readonly { readonly field: string; readonly detail: string }[]
}

const LONGEST_DETAIL = 1000
const LONGEST_FIELD = 200
const MOST_FIELDS = 20

/** Truncates text, so that the size of the input does not set the size of the answer. */
const shortened = (text: string, longest: number): string =>
  text.length <= longest ? text : `${text.slice(0, longest)}…`

/** Converts an error to a problem. */
export function toProblem({ code, message }: AppError): Problem {
  return {
    type: `urn:earshot:error:${code}`,
    title: ERROR_TITLES[code],
    status: STATUS[code],
    code,
    detail: shortened(message, LONGEST_DETAIL),
  }
}

/** Sends an error as a problem. Logs it if the server is at fault. */
export function sendProblem(
  error: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = translate(error)
  const hasLeft = reply.raw.destroyed // work that a disconnect aborts is not an error
  if (STATUS[known.code] >= 500 && !hasLeft) request.log.error(error)
  if (STATUS[known.code] === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  const problem = { ...toProblem(known), requestId: request.id, ...fieldErrors(error) }
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(problem)
}

/** Converts errors of fastify and its plugins to errors of Earshot. */
function translate(error: FastifyError | Error): AppError {
  if (error instanceof AppError) return error
  if (hasZodFastifySchemaValidationErrors(error))
    return new AppError('REQUEST_INVALID', error.message, { cause: error })
  const { code = '', statusCode = 500 } = error as Partial<FastifyError>
  const as = (ours: ErrorCode, detail = error.message) =>
    new AppError(ours, detail, { cause: error })
  if (statusCode === 413 || code === 'FST_REQ_FILE_TOO_LARGE') return as('UPLOAD_TOO_LARGE')
  if (statusCode === 415 || statusCode === 406) return as('REQUEST_TYPE_UNSUPPORTED')
  if (statusCode === 416) return as('RANGE_NOT_SATISFIABLE')
  if (statusCode === 412) return as('PRECONDITION_FAILED')
  if (statusCode === 404) return as('ROUTE_NOT_FOUND')
  if (statusCode >= 400 && statusCode < 500) return as('REQUEST_INVALID')
  if (isDiskFull(error) || isBusy(error)) return toAppError(error)
  return as(
    'INTERNAL',
    'Earshot failed unexpectedly. The log contains the error with the request id.',
  )
}

function fieldErrors(error: unknown): Pick<Problem, 'errors'> {
  if (!hasZodFastifySchemaValidationErrors(error)) return {}
  return {
    errors: error.validation.slice(0, MOST_FIELDS).map(({ instancePath, message }) => ({
      field: shortened(instancePath.replace(/^\//, ''), LONGEST_FIELD),
      detail: shortened(message ?? 'is not valid', LONGEST_FIELD),
    })),
  }
}
