import { z } from 'zod'
import { NOTES } from '../domain/clip.js'
import { ERROR_TITLES, type ErrorCode } from '../errors.js'
import { MEDIA_LIMITS } from '../media/staging/limits.js'
import { SEARCH_LIMITS } from '../search/limits.js'
import { MOST_LABELS } from '../tagging/limits.js'
import { HTTP_LIMITS, PUBLIC_LIMITS } from './limits.js'

// These schemas define requests and responses. Routes check requests with them, and openapi.yaml is
// generated from them.

const seconds = z.number().min(0).meta({ description: 'Seconds, as a decimal number.' })
/** Defines a readonly array, because the domain types are readonly. */
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly()

const probability = z.number().min(0).max(1)
const score = z.number().meta({ description: 'Cosine similarity, in [-1, 1].' })

/** Names a modality. */
export const Modality = z.enum(['audio', 'visual'])
/** Defines the id of a clip. */
export const ClipId = z.string().min(1).max(64)
/** Defines the path parameters of a clip. */
export const ClipParams = z.object({ id: ClipId })
/** Rejects query parameters of requests whose options are fields of a form or a JSON body. */
export const NoQuery = z.strictObject(
  {},
  {
    error: ({ keys }) =>
      `${String(keys).slice(0, 100)} must be a field of the form or the JSON body`,
  },
)

/** Defines a problem. */
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
  .meta({
    id: 'Problem',
    description: 'An RFC 9457 problem. `code` is stable. docs/errors.md explains each code.',
  })

/** Defines a label with its probability. */
export const Label = z
  .object({ mid: z.string(), name: z.string(), probability })
  .meta({ id: 'Label' })
const Segment = z.object({ start: seconds, end: seconds, labels: list(Label) })

/** Defines the labels of a file and of its segments. */
export const Tags = z.object({ labels: list(Label), segments: list(Segment) }).meta({ id: 'Tags' })

const Links = z.object({ media: z.string(), thumbnail: z.string().nullable() })

/** Defines a clip. */
export const Clip = z
  .object({
    id: ClipId,
    path: z.string(),
    name: z.string().meta({
      description: 'The name that the client gave an upload, or the last part of the path.',
    }),
    seconds,
    hasAudio: z.boolean(),
    hasVisual: z.boolean(),
    notes: list(z.enum(Object.keys(NOTES) as [keyof typeof NOTES])),
    state: z.enum(['indexed', 'pending']).meta({
      description: 'A pending clip has no segments until its file is indexed again.',
    }),
    hash: z.string().nullable().meta({
      description: 'SHA-256 of the content in hex, or null if the clip is pending.',
    }),
    bytes: z.number().int(),
    indexedAt: z.string(),
    links: Links,
  })
  .meta({ id: 'Clip' })

/** Defines a clip with its labels. */
export const ClipWithTags = Clip.extend(Tags.shape).meta({ id: 'ClipWithTags' })
/** Defines a page of clips. */
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

/** Defines the result of a search. */
export const SearchAnswer = z
  .object({
    query: z.object({ from: Modality, seconds: seconds.nullable() }),
    to: Modality,
    bundle: z.object({ name: z.string(), fingerprint: z.string() }),
    hits: list(Hit),
    timings: z.object({ decodeMs: z.number(), encodeMs: z.number(), searchMs: z.number() }),
  })
  .meta({ id: 'SearchAnswer' })

/** Accepts a number as text, for forms, query parameters, paths and headers. */
export function asText<Schema extends z.ZodType>(schema: Schema) {
  const toNumber = (value: unknown) =>
    typeof value === 'string' && NUMBER.test(value) ? Number(value) : value
  return z.preprocess(toNumber, schema)
}
const NUMBER = /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i // as in JSON

const hits = z.number().int().min(1).max(SEARCH_LIMITS.hits)
const rangeStart = z.number().min(0).max(MEDIA_LIMITS.clipSeconds)
const rangeEnd = z.number().positive().max(MEDIA_LIMITS.clipSeconds)
const START = { description: 'Start of the range of the query, in seconds.' }
const END = { description: 'End of the range of the query, in seconds.' }

const Direction = {
  from: Modality.optional().meta({ description: 'The modality of the query.' }),
  to: Modality.optional().meta({
    description:
      'The modality of the hits. The default is the other modality if that is unambiguous.',
  }),
}

/** Defines the fields of a form that searches by file. */
export const SearchForm = z
  .strictObject({
    ...Direction,
    limit: asText(hits).default(20),
    start: asText(rangeStart).optional().meta(START),
    end: asText(rangeEnd).optional().meta(END),
  })
  .meta({ id: 'SearchForm' })

/** Defines a JSON body that searches by clip. */
export const ClipQuery = z.strictObject({
  clip: ClipId,
  ...Direction,
  limit: hits.default(20),
  start: rangeStart.optional().meta(START),
  end: rangeEnd.optional().meta(END),
})
/** Defines a JSON body that searches by embedding. */
export const EmbeddingQuery = z.strictObject({
  embedding: z.array(z.number()).min(1).max(8192),
  fingerprint: z.string().max(64).optional(),
  ...Direction,
  limit: hits.default(20),
})
/** Defines the JSON body of a search. */
export const SearchBody = z.union([ClipQuery, EmbeddingQuery]).meta({ id: 'SearchBody' })

const labelLimit = z.number().int().min(1).max(MOST_LABELS)
/** Defines the fields of a form that tags a file. */
export const TagsForm = z
  .strictObject({ limit: asText(labelLimit).default(10) })
  .meta({ id: 'TagsForm' })
/** Defines a JSON body that tags a clip. */
export const TagsBody = z
  .strictObject({ clip: ClipId, limit: labelLimit.default(10) })
  .meta({ id: 'TagsBody' })

/** Defines the fields of a form that adds an upload. */
export const ClipForm = z.strictObject({}).meta({ id: 'ClipForm' })
/** Defines a JSON body that adds a file by its path. */
export const ClipBody = z
  .strictObject({ path: z.string().min(1).max(4096) })
  .meta({ id: 'ClipBody' })

/** Defines the query parameters of the list of clips. */
export const ClipsQuery = z.strictObject({
  after: ClipId.optional(),
  limit: asText(z.number().int().min(1).max(HTTP_LIMITS.pageOfClips)).default(50),
})

/** Defines the list of labels. */
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

/** Defines the information about the server. */
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

/** Defines the result of a health check. */
export const Health = z
  .object({
    status: z.enum(['ok', 'unready', 'stuck']),
    failing: list(z.string())
      .optional()
      .meta({ description: 'The names of the checks that failed.' }),
  })
  .meta({ id: 'Health' })
