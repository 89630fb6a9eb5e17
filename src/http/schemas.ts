import { z } from 'zod'
import { NOTES } from '../domain/clip.js'
import { ERROR_TITLES, type ErrorCode } from '../errors.js'
import { MEDIA_LIMITS } from '../media/staging/limits.js'
import { SEARCH_LIMITS } from '../search/limits.js'
import { MOST_LABELS } from '../tagging/limits.js'
import { HTTP_LIMITS, PUBLIC_LIMITS } from './limits.js'

/** The one source of what HTTP takes and gives: requests are checked by these, openapi.yaml is written from them. */
const seconds = z.number().min(0).meta({ description: 'Seconds, as a decimal.' })
/** Answers are readonly, as the domain's types are. */
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly()

const probability = z.number().min(0).max(1)
const score = z.number().meta({ description: 'Cosine similarity, in [-1, 1].' })

export const Modality = z.enum(['audio', 'visual'])
export const ClipId = z.string().min(1).max(64)
export const ClipParams = z.object({ id: ClipId })
/** Of requests whose options are fields of a form or a body: one in the address would be passed over in silence. */
export const NoQuery = z.strictObject(
  {},
  {
    error: ({ keys }) =>
      `${String(keys).slice(0, 100)} belongs among the fields of the form or of the JSON body`,
  },
)

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.enum(Object.keys(ERROR_TITLES) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    requestId: z.string().optional(),
    errors: z.array(z.object({ field: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457; `code` is stable, docs/errors.md explains each.' })

export const Label = z
  .object({ mid: z.string(), name: z.string(), probability })
  .meta({ id: 'Label' })
const Segment = z.object({ start: seconds, end: seconds, labels: list(Label) })

export const Tags = z.object({ labels: list(Label), segments: list(Segment) }).meta({ id: 'Tags' })

const Links = z.object({ media: z.string(), thumbnail: z.string().nullable() })

export const Clip = z
  .object({
    id: ClipId,
    path: z.string(),
    name: z.string().meta({
      description: 'Of an upload as the client called it, else the last part of the path.',
    }),
    seconds,
    hasAudio: z.boolean(),
    hasVisual: z.boolean(),
    notes: list(z.enum(Object.keys(NOTES) as [keyof typeof NOTES])),
    state: z.enum(['indexed', 'pending']).meta({
      description: 'pending: it has no segments until its file is indexed again.',
    }),
    hash: z.string().nullable().meta({
      description: 'SHA-256 of the content, hex; null while the clip is pending.',
    }),
    bytes: z.number().int(),
    indexedAt: z.string(),
    links: Links,
  })
  .meta({ id: 'Clip' })

export const ClipWithTags = Clip.extend(Tags.shape).meta({ id: 'ClipWithTags' })
export const ClipPage = z
  .object({ clips: list(Clip), next: ClipId.nullable() })
  .meta({ id: 'ClipPage' })

const Hit = z.object({
  rank: z.number().int().min(1),
  score,
  clip: Clip.pick({
    id: true,
    path: true,
    name: true,
    seconds: true,
    hasAudio: true,
    hasVisual: true,
  }),
  moments: list(z.object({ start: seconds, end: seconds, score })),
  links: Links,
})

export const SearchAnswer = z
  .object({
    query: z.object({ from: Modality, seconds: seconds.nullable() }),
    to: Modality,
    bundle: z.object({ name: z.string(), fingerprint: z.string() }),
    hits: list(Hit),
    timings: z.object({ decodeMs: z.number(), encodeMs: z.number(), searchMs: z.number() }),
  })
  .meta({ id: 'SearchAnswer' })

/** A number that arrives as text, in a form or an address; in JSON it has to be a number. */
export function asText<Schema extends z.ZodType>(schema: Schema) {
  const toNumber = (value: unknown) =>
    typeof value === 'string' && NUMBER.test(value) ? Number(value) : value
  return z.preprocess(toNumber, schema)
}
const NUMBER = /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i // as in JSON

const hits = z.number().int().min(1).max(SEARCH_LIMITS.hits)
const rangeStart = z.number().min(0).max(MEDIA_LIMITS.clipSeconds)
const rangeEnd = z.number().positive().max(MEDIA_LIMITS.clipSeconds)
const START = { description: 'Only this range of the query, in seconds: start…' }
const END = { description: '…and end.' }

const Direction = {
  from: Modality.optional().meta({ description: 'What the query is judged by.' }),
  to: Modality.optional().meta({
    description: 'What is wanted back; the other modality where it is clear.',
  }),
}

export const SearchForm = z
  .strictObject({
    ...Direction,
    limit: asText(hits).default(20),
    start: asText(rangeStart).optional().meta(START),
    end: asText(rangeEnd).optional().meta(END),
  })
  .meta({ id: 'SearchForm' })

export const ClipQuery = z.strictObject({
  clip: ClipId,
  ...Direction,
  limit: hits.default(20),
  start: rangeStart.optional().meta(START),
  end: rangeEnd.optional().meta(END),
})
export const EmbeddingQuery = z.strictObject({
  embedding: z.array(z.number()).min(1).max(8192),
  fingerprint: z.string().max(64).optional(),
  ...Direction,
  limit: hits.default(20),
})
export const SearchBody = z.union([ClipQuery, EmbeddingQuery]).meta({ id: 'SearchBody' })

const labelLimit = z.number().int().min(1).max(MOST_LABELS)
export const TagsForm = z
  .strictObject({ limit: asText(labelLimit).default(10) })
  .meta({ id: 'TagsForm' })
export const TagsBody = z
  .strictObject({ clip: ClipId, limit: labelLimit.default(10) })
  .meta({ id: 'TagsBody' })

export const ClipForm = z.strictObject({}).meta({ id: 'ClipForm' })
export const ClipBody = z
  .strictObject({ path: z.string().min(1).max(4096) })
  .meta({ id: 'ClipBody' })

export const ClipsQuery = z.strictObject({
  after: ClipId.optional(),
  limit: asText(z.number().int().min(1).max(HTTP_LIMITS.pageOfClips)).default(50),
})

export const Labels = z
  .object({
    labels: list(z.object({ index: z.number().int(), mid: z.string(), name: z.string() })),
  })
  .meta({ id: 'Labels' })

const numbersOf = <Name extends string>(values: Readonly<Record<Name, number>>) =>
  Object.fromEntries(Object.keys(values).map((name) => [name, z.number()])) as Record<
    Name,
    z.ZodNumber
  >

export const System = z
  .object({
    version: z.string(),
    bundle: z.object({
      name: z.string(),
      fingerprint: z.string(),
      dimension: z.number().int(),
      modalities: z.array(Modality),
      segmentSeconds: seconds,
      labels: z.number().int(),
      licence: z.string(),
    }),
    providers: z.object({
      inUse: z.string(),
      refused: list(z.object({ provider: z.string(), reason: z.string() })),
    }),
    ffmpeg: z.string(),
    library: z.object({
      clips: z.number().int(),
      segments: z.number().int(),
      embeddings: z.object({ audio: z.number().int(), visual: z.number().int() }),
      failures: z.number().int(),
    }),
    limits: z.object(numbersOf(PUBLIC_LIMITS)),
  })
  .meta({ id: 'System' })

export const Health = z
  .object({
    status: z.enum(['ok', 'unready', 'stuck']),
    failing: list(z.string()).optional().meta({ description: 'Names of the checks that failed.' }),
  })
  .meta({ id: 'Health' })
