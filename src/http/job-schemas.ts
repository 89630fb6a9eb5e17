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

/** Defines the JSON body that adds a job. */
export const JobBody = z
  .strictObject({
    sources: z
      .array(Path)
      .min(1)
      .max(HTTP_LIMITS.jobSources)
      .meta({ description: 'Files and folders inside EARSHOT_ROOTS.' }),
    mode: z.enum(JOB_MODES).default('changed'),
    include: globs.meta({
      description: 'Globs of files. Without globs, files with a media extension are included.',
    }),
    ignore: globs.meta({ description: 'Globs of files and folders to leave out.' }),
    defaultIgnores: z
      .boolean()
      .default(true)
      .meta({ description: 'Leave out recycle bins, thumbnails, snapshots and similar folders.' }),
    followLinks: z
      .boolean()
      .default(false)
      .meta({ description: 'Enter folders through symbolic links.' }),
  })
  .meta({ id: 'JobBody' })

/** Defines the path parameters of a job. */
export const JobParams = z.object({ id: asText(z.number().int().positive()) })
/** Defines the header that identifies a repeated request. */
export const IdempotencyKey = z.object({ 'idempotency-key': z.string().min(1).max(255).optional() })
/** Defines the JSON body that retries failed items. */
export const RetryBody = z
  .strictObject({ reasons: z.array(Code).min(1).optional() })
  .nullish()
  .meta({ id: 'RetryBody' })

const limit = asText(z.number().int().min(1).max(HTTP_LIMITS.pageOfClips)).default(50)
const cursor = asText(z.number().int().positive()).optional()
/** Defines the query parameters of the list of jobs. */
export const JobsQuery = z.strictObject({ before: cursor, limit })
/** Defines the query parameters of the list of items. */
export const ItemsQuery = z.strictObject({ status: ItemState.optional(), after: cursor, limit })
/** Defines the header that resumes a stream of events. */
export const LastEventId = z.object({ 'last-event-id': asText(z.number().int().min(0)).optional() })

/** Defines a job. */
export const Job = z
  .object({
    id: count,
    state: z.enum(JOB_STATES),
    revision: count.meta({ description: 'Increases with each change of the job.' }),
    sources: list(z.string()),
    mode: z.enum(JOB_MODES),
    include: list(z.string()),
    ignore: list(z.string()),
    defaultIgnores: z.boolean(),
    followLinks: z.boolean(),
    isScanned: z.boolean().meta({ description: 'More items can follow until this is true.' }),
    counts: z.object(
      Object.fromEntries(ITEM_STATES.map((state) => [state, count])) as Record<
        ItemStateName,
        typeof count
      >,
    ),
    quarantined: count.meta({
      description: 'Unchanged files that failed in an earlier job and were skipped.',
    }),
    reasons: z
      .record(z.string(), count)
      .meta({ description: 'The number of failed items by error code.' }),
    warnings: list(z.string()),
    skipped: z
      .record(z.string(), count)
      .meta({ description: 'The number of files that are not media, by extension.' }),
    stop: Reason.nullable().meta({ description: 'The reason if the job paused itself.' }),
    figures: z.object({
      clipsPerSecond: z.number(),
      realtime: z.number().meta({ description: 'Seconds of media processed per second.' }),
      bottleneck: z.enum(STAGES).nullable(),
      etaSeconds: z.number().nullable(),
    }),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Job' })

type ItemStateName = (typeof ITEM_STATES)[number]

/** Defines a page of jobs. */
export const JobPage = z.object({ jobs: list(Job), next: count.nullable() }).meta({ id: 'JobPage' })

/** Defines a file of a job. */
export const Item = z
  .object({
    id: count,
    path: z.string(),
    state: ItemState,
    reason: Reason.nullable(),
    attempts: count,
  })
  .meta({ id: 'Item' })

/** Defines a page of items. */
export const ItemPage = z
  .object({ items: list(Item), next: count.nullable() })
  .meta({ id: 'ItemPage' })

/** Defines a server-sent event of a job. The route sends a stream of events. */
export const Event: z.ZodType<unknown> = z
  .looseObject({
    event: z.enum(['item', 'job']),
    id: z.string(),
    data: z.string().meta({ description: 'The item, or the job with its progress, as JSON.' }),
  })
  .meta({ id: 'JobEvent' })
