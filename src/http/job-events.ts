import { setTimeout } from 'node:timers/promises'
import { hasEnded } from '../jobs/job-state.js'
import type { Item, JobId, Jobs } from '../jobs/jobs.js'

const POLL_MS = 1_000 // for changes that another process makes
const BATCH_MS = 200 // changes that follow each other quickly are sent together
const HEARTBEAT_MS = 15_000
const PAGE = 500

/** Runs work on the jobs of the gallery that serves now; a change of model replaces them. */
export type OnJobs = <T>(work: (jobs: Jobs) => Promise<T>) => Promise<T>

export interface EventsOptions {
  readonly after: number // the last revision that the client has seen
  readonly signal: AbortSignal
}

/**
 * Yields a job as server-sent events until it ends: `item` for each item that ended, `job` for the
 * progress. Ids are revisions of the job, so that a client that reconnects misses and repeats nothing.
 */
export async function* jobEvents(
  id: JobId,
  on: OnJobs,
  { after, signal }: EventsOptions,
): AsyncGenerator<string> {
  let seen = after
  let sentMs = performance.now()
  while (!signal.aborted) {
    const { changes, count, progress } = await on(async (jobs) => ({
      changes: jobs.progressChanges,
      count: jobs.progressChanges.count,
      progress: await jobs.progress(id),
    }))
    if (progress.revision > seen) {
      for await (const item of endedBetween(id, on, seen, progress.revision)) {
        yield event('item', item.endedRevision, item)
      }
      seen = progress.revision
      const [figures] = await on((jobs) => jobs.figures([progress]))
      yield event('job', seen, { ...progress, figures })
      sentMs = performance.now()
    }
    if (hasEnded(progress.state)) return
    if (performance.now() - sentMs >= HEARTBEAT_MS) {
      yield ': alive\n\n'
      sentMs = performance.now()
    }
    await changes.wait(count, POLL_MS, signal)
    await setTimeout(BATCH_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
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
