import { z } from 'zod'
import type { ErrorCode } from '../errors.js'
import { STATUS } from './problems.js'
import { Problem } from './schemas.js'

const PROBLEM = { 'application/problem+json': { schema: Problem } }

type Codes = readonly ErrorCode[]

interface Answer {
  readonly description: string // contains the codes
  readonly content: typeof PROBLEM
}

/** Codes that every route can return. */
const SHARED: Codes = [
  'REQUEST_INVALID',
  'ORIGIN_NOT_ALLOWED',
  'METHOD_NOT_ALLOWED',
  'EXPECTATION_FAILED',
  'HOST_NOT_ALLOWED',
  'INTERNAL',
  'SHUTTING_DOWN',
  'SYSTEM_BUSY',
  'DISK_FULL',
]

/** Lists the codes of routes that read a body. */
export const BODY: Codes = ['REQUEST_INVALID', 'UPLOAD_TOO_LARGE', 'REQUEST_TYPE_UNSUPPORTED']

/** Lists the codes of routes that accept a form with a file. */
export const FORM: Codes = [...BODY, 'UPLOAD_TOO_SLOW', 'SERVER_BUSY']

/** Lists the codes of routes that write to the library, which a change of bundle can replace. */
export const WRITING: Codes = [
  'FINGERPRINT_MISMATCH',
  'ENCODER_FAILED',
  'GALLERY_RETIRED',
  'DATA_UNUSABLE',
  'DATA_LOCKED',
  'CATALOGUE_NEWER',
  'BUNDLE_INVALID',
  'PROVIDER_UNAVAILABLE',
]

/** Lists the codes of routes that read the header of a media file. */
export const OPENING: Codes = [
  'MEDIA_NOT_RECOGNISED',
  'MEDIA_FORMAT_REFUSED',
  'MEDIA_HEIF_UNSUPPORTED',
  'FILE_UNREADABLE',
  'MEDIA_DAMAGED',
  'MEDIA_TOO_LARGE',
  'MEDIA_STALLED',
  'SERVER_BUSY',
  'FFMPEG_MISSING',
  'TEMP_UNUSABLE',
]

const NO_MEDIA: Codes = ['MEDIA_IS_TEXT', 'MEDIA_IS_ARCHIVE', 'MEDIA_IS_PLAYLIST', 'MEDIA_EMPTY']

/** Lists the codes of routes that decode a media file. */
export const DECODING: Codes = [...OPENING, ...NO_MEDIA]

/** Lists the codes of routes that decode and encode a media file. */
export const ENCODING: Codes = [
  ...DECODING,
  'MEDIA_NO_CONTENT',
  'MEDIA_TOO_SMALL',
  'MEDIA_TOO_LONG',
  'MODALITY_NOT_SERVED',
  'ENCODER_FAILED',
  'ENCODER_RESTARTING',
]

const ANY_ROUTE: Answer = {
  description: `Any route: ${SHARED.join(', ')}. docs/errors.md explains every code.`,
  content: PROBLEM,
}

/** Describes the problems of a route by status, from its own codes and the shared codes. */
export function problems(...codes: Codes): { default: Answer } {
  const statuses = new Set(codes.map((code) => STATUS[code]))
  const answers = [...statuses].map((status) => [status, problemsOf(status, codes)] as const)
  return { ...Object.fromEntries(answers), default: ANY_ROUTE }
}

/** Describes a status under which a route returns its own schema or a shared problem. */
export function orProblem<S extends z.ZodType>(status: number, schema: S, what: string) {
  const { description, content } = problemsOf(status, [])
  return {
    description: `${what} Or a problem: ${description}`,
    content: { 'application/json': { schema }, ...content },
  }
}

function problemsOf(status: number, codes: Codes): Answer {
  const possible = [...new Set([...codes, ...SHARED])].filter((code) => STATUS[code] === status)
  const retry = status === 503 ? '; with Retry-After' : ''
  return { description: possible.join(', ') + retry, content: PROBLEM }
}

/** Describes a response of bytes with one of the content types. */
export function bytes(description: string, ...types: readonly string[]) {
  const schema = z.unknown().meta({ type: 'string', format: 'binary' })
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema }])) }
}
