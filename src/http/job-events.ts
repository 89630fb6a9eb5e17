import { setTimeout } from 'node:timers/promises'
import { hasEnded } from '../jobs/job-state.js'
import type { Item, JobId, Jobs } from '../jobs/jobs.js'

const POLL_MS = 500
const HEARTBEAT_MS = 15_000
const PAGE = 500

/** Asks the jobs that serve now: a change of model replaces them between two questions. */
export type OnJobs = <T>(work: (jobs: Jobs) => Promise<T>) => Promise<T>

export interface EventsOptions {
  readonly after: number // the last revision that the client has seen
  readonly signal: AbortSignal
}

/**
 * A job as server-sent events, until it ends: `item` for each that ended, `job` for how far the job has come. Their ids
 * are revisions of the job, so that a client that comes back misses nothing and sees nothing twice.
 */
export async function* jobEvents(
  id: JobId,
  on: OnJobs,
  { after, signal }: EventsOptions,
): AsyncGenerator<string> {
  let seen = after
  for (let quietMs = 0; !signal.aborted; quietMs += POLL_MS) {
    const progress = await on((jobs) => jobs.progress(id))
    if (progress.revision > seen) {
      for await (const item of endedBetween(id, on, seen, progress.revision))
        yield event('item', item.endedRevision, item)
      seen = progress.revision
      const [figures] = await on((jobs) => jobs.figures([progress]))
      yield event('job', seen, { ...progress, figures })
      quietMs = 0
    }
    if (hasEnded(progress.state)) return
    if (quietMs >= HEARTBEAT_MS) {
      yield ': alive\n\n'
      quietMs = 0
    }
    await setTimeout(POLL_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
  }
}

async function* endedBetween(
  id: JobId,
  on: OnJobs,
  after: number,
  upTo: number,
): AsyncGenerator<Item> {
  for (let last = after; last < upTo; ) {
    const page = await on((jobs) => jobs.ended(id, { after: last, limit: PAGE }))
    yield* page.filter(({ endedRevision }) => endedRevision !== null && endedRevision <= upTo)
    if (page.length < PAGE) return
    last = page.at(-1)?.endedRevision ?? upTo
  }
}

const event = (name: string, id: number | null, data: unknown): string =>
  `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`
