import type { ErrorCode } from '../../errors.js'
import {
  ITEM_STATES,
  type Item,
  type ItemId,
  type ItemState,
  type Job,
  type JobId,
  type JobMode,
  type JobProgress,
  type JobRequest,
  type JobState,
  type Lease,
  type Reason,
  type SkippedExtensions,
} from '../../jobs/jobs.js'

/** The progress columns of a job. */
export interface ProgressRow {
  number: JobId
  state: JobState
  revision: number
  is_scanned: number
  unchanged: number
  quarantined: number
  stop_code: string | null
  stop_detail: string | null
  created_at: string
  started_at: string | null
  ended_at: string | null
}

/** All columns of a job. */
export interface JobRow extends ProgressRow {
  request: string
  warnings: string
  skipped: string // JSON
}

/** The number of items of a job in one state, by error code. */
export interface CountRow {
  state: ItemState
  code: string
  items: number
}

/** Returns the job of a row. */
export const toJob = (row: JobRow, counted: readonly CountRow[]): Job => ({
  ...toRequest(row.request),
  ...toProgress(row, counted),
  warnings: JSON.parse(row.warnings) as string[],
  skipped: JSON.parse(row.skipped) as SkippedExtensions,
})

/** Returns the progress of a row. */
export function toProgress(row: ProgressRow, counted: readonly CountRow[]): JobProgress {
  const counts = Object.fromEntries(ITEM_STATES.map((state) => [state, 0])) as Record<
    ItemState,
    number
  >
  const reasons: Partial<Record<ErrorCode, number>> = {}
  for (const { state, code, items } of counted) {
    counts[state] += items
    if (state === 'failed') reasons[code as ErrorCode] = items
  }
  counts.unchanged += row.unchanged
  return {
    id: row.number,
    state: row.state,
    revision: row.revision,
    isScanned: row.is_scanned === 1,
    counts,
    quarantined: row.quarantined,
    reasons,
    stop: toReason(row.stop_code, row.stop_detail),
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  }
}

/** Returns a request as text. The order of fields is fixed: equal requests have equal texts. */
export const fromRequest = ({
  sources,
  mode,
  include,
  ignore,
  defaultIgnores,
  followLinks,
  within,
}: JobRequest): string =>
  JSON.stringify({ sources, mode, include, ignore, defaultIgnores, followLinks, within })

/** Returns the request of a text. Requests of earlier versions have no `defaultIgnores`. */
export const toRequest = (request: string): JobRequest => ({
  defaultIgnores: true,
  ...JSON.parse(request),
})

/** The columns of a job item. */
export interface ItemRow {
  id: ItemId
  path: string
  state: ItemState
  code: string | null
  detail: string | null
  attempts: number
  settled: number | null
}

/** Returns the item of a row. */
export const toItem = ({ code, detail, settled, ...row }: ItemRow): Item => ({
  ...row,
  reason: toReason(code, detail),
  endedRevision: settled,
})

/** The columns of a leased item. */
export interface LeaseRow {
  id: ItemId
  claim: number
  job: JobId
  path: string
  bytes: number
  mtime_ms: number
  attempts: number
  mode: JobMode
}

/** Returns the lease of a row. */
export const toLease = ({ id, mtime_ms, ...row }: LeaseRow): Lease => ({
  ...row,
  item: id,
  mtimeMs: mtime_ms,
})

const toReason = (code: string | null, detail: string | null): Reason | null =>
  code === null ? null : { code: code as ErrorCode, detail: detail ?? '' }
