import { setTimeout } from 'node:timers/promises'
import { hasEnded } from '../jobs/job-state.js'
import type { Item, JobId, Jobs } from '../jobs/jobs.js'

const POLL_MS = 1_000 // to see changes of another process
const BATCH_MS = 200 // to send changes in quick succession together
const HEARTBEAT_MS = 15_000
const PAGE = 500

/** Runs work on the jobs of the current gallery. A change of bundle replaces the gallery. */
export type OnJobs = <T>(work: (jobs: Jobs) => Promise<T>) => Promise<T>

/** Sets where a stream of events starts and when it is cancelled. */
export interface EventsOptions {
  readonly after: number // the last revision that the client has seen
  readonly signal: AbortSignal
}

/**
 * Yields server-sent events until a job ends: `item` for each item that ends, `job` for progress.
 * Event ids are revisions of the job, so a client that reconnects gets each event once.
 */
export async function* jobEvents(
  id: JobId,
  withJobs: OnJobs,
  { after, signal }: EventsOptions,
): AsyncGenerator<string> {
  let seen = after
  let sentMs = performance.now()
  while (!signal.aborted) {
    const { changes, count, progress } = await withJobs(async (jobs) => ({
      changes: jobs.progressChanges,
      count: jobs.progressChanges.count,
      progress: await jobs.progress(id),
    }))
    if (progress.revision > seen) {
      for await (const item of endedBetween(id, withJobs, seen, progress.revision)) {
        yield event('item', item.endedRevision, item)
      }
      seen = progress.revision
      const [figures] = await withJobs((jobs) => jobs.figures([progress]))
      yield event('job', seen, { ...progress, figures })
      sentMs = performance.now()
    }
    if (hasEnded(progress.state)) return
    if (performance.now() - sentMs >= HEARTBEAT_MS) {
      yield ': alive\n\n'
      sentMs = performance.now()
    }
    await changes.wait(count, POLL_MS, signal)
    await setTimeout(BATCH_MS, undefined, { signal }).catch(() => {}) // then the loop ends
  }
}

async function* endedBetween(
  id: JobId,
  withJobs: OnJobs,
  after: number,
  upTo: number,
): AsyncGenerator<Item> {
  for (let last = after; last < upTo; ) {
    const page = await withJobs((jobs) => jobs.ended(id, { after: last, limit: PAGE }))
    yield* page.filter(({ endedRevision }) => endedRevision !== null && endedRevision <= upTo)
    if (page.length < PAGE) return
    last = page.at(-1)?.endedRevision ?? upTo
  }
}

const event = (name: string, id: number | null, data: unknown): string =>
  `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`
