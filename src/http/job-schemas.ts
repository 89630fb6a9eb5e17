import { z } from 'zod'
import { ERROR_TITLES, type ErrorCode } from '../errors.js'
import { ITEM_STATES, JOB_MODES, JOB_STATES, STAGES } from '../jobs/jobs.js'
import { HTTP_LIMITS } from './limits.js'
import { asText } from './schemas.js'

const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly()
const count = z.number().int()
const Code = z.enum(Object.keys(ERROR_TITLES) as [ErrorCode, ...ErrorCode[]])
const ItemState = z.enum(ITEM_STATES)
const Reason = z.object({ code: Code, detail: z.string() })
const Path = z.string().min(1).max(4096)
const globs = z.array(z.string().min(1).max(1024)).max(100).default([])

export const JobBody = z
  .strictObject({
    sources: z
      .array(Path)
      .min(1)
      .max(HTTP_LIMITS.jobSources)
      .meta({ description: 'Files and folders under EARSHOT_ROOTS.' }),
    mode: z.enum(JOB_MODES).default('changed'),
    include: globs.meta({
      description: 'Globs of files; none: what is called as media files are.',
    }),
    ignore: globs.meta({ description: 'Globs of files and folders.' }),
    defaultIgnores: z
      .boolean()
      .default(true)
      .meta({ description: 'Leave out recycle bins, thumbnails, snapshots and their like.' }),
    followLinks: z.boolean().default(false).meta({ description: 'Enter folders that are links.' }),
  })
  .meta({ id: 'JobBody' })

export const JobParams = z.object({ id: asText(z.number().int().positive()) })
export const IdempotencyKey = z.object({ 'idempotency-key': z.string().min(1).max(255).optional() })
export const RetryBody = z
  .strictObject({ reasons: z.array(Code).min(1).optional() })
  .nullish()
  .meta({ id: 'RetryBody' })

const limit = asText(z.number().int().min(1).max(HTTP_LIMITS.pageOfClips)).default(50)
const cursor = asText(z.number().int().positive()).optional()
export const JobsQuery = z.strictObject({ before: cursor, limit })
export const ItemsQuery = z.strictObject({ status: ItemState.optional(), after: cursor, limit })
export const LastEventId = z.object({ 'last-event-id': asText(z.number().int().min(0)).optional() })

export const Job = z
  .object({
    id: count,
    state: z.enum(JOB_STATES),
    revision: count.meta({ description: 'Goes up with everything that happens to the job.' }),
    sources: list(z.string()),
    mode: z.enum(JOB_MODES),
    include: list(z.string()),
    ignore: list(z.string()),
    defaultIgnores: z.boolean(),
    followLinks: z.boolean(),
    isScanned: z.boolean().meta({ description: 'Until then more items may come.' }),
    counts: z.object(
      Object.fromEntries(ITEM_STATES.map((state) => [state, count])) as Record<
        ItemStateName,
        typeof count
      >,
    ),
    quarantined: count.meta({
      description: 'Files that failed before, are as they were, and were passed over.',
    }),
    reasons: z.record(z.string(), count).meta({ description: 'Items that failed, by code.' }),
    warnings: list(z.string()),
    skipped: z
      .record(z.string(), count)
      .meta({ description: 'Files that were not taken for media, by extension.' }),
    stop: Reason.nullable().meta({ description: 'Why it paused by itself.' }),
    figures: z.object({
      clipsPerSecond: z.number(),
      realtime: z.number().meta({ description: 'Seconds of media in a second.' }),
      bottleneck: z.enum(STAGES).nullable(),
      etaSeconds: z.number().nullable(),
    }),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Job' })

type ItemStateName = (typeof ITEM_STATES)[number]

export const JobPage = z.object({ jobs: list(Job), next: count.nullable() }).meta({ id: 'JobPage' })

export const Item = z
  .object({
    id: count,
    path: z.string(),
    state: ItemState,
    reason: Reason.nullable(),
    attempts: count,
  })
  .meta({ id: 'Item' })

export const ItemPage = z
  .object({ items: list(Item), next: count.nullable() })
  .meta({ id: 'ItemPage' })

/** One event of a job, as a client of server-sent events gets it. The route sends a stream of them. */
export const Event: z.ZodType<unknown> = z
  .looseObject({
    event: z.enum(['item', 'job']),
    id: z.string(),
    data: z.string().meta({ description: 'JSON: the item, or the job as far as it has come.' }),
  })
  .meta({ id: 'JobEvent' })
