import { setTimeout } from 'node:timers/promises'
import { hasEnded } from '../gallery/job-state.js'
import type { Item, JobId, Jobs } from '../gallery/jobs.js'

const LOOK_MS = 500
const HEARTBEAT_MS = 15_000
const PAGE = 500

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
  serving: () => Jobs,
  { after, signal }: EventsOptions,
): AsyncGenerator<string> {
  let seen = after
  for (let quietMs = 0; !signal.aborted; quietMs += LOOK_MS) {
    const jobs = serving() // which a change of model may have replaced
    const progress = await jobs.progress(id)
    if (progress.revision > seen) {
      for await (const item of endedBetween(id, jobs, seen, progress.revision)) yield event('item', item.settled, item)
      seen = progress.revision
      yield event('job', seen, { ...progress, figures: await jobs.figures(id) })
      quietMs = 0
    }
    if (hasEnded(progress.state)) return
    if (quietMs >= HEARTBEAT_MS) {
      yield ': alive\n\n'
      quietMs = 0
    }
    await setTimeout(LOOK_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
  }
}

async function* endedBetween(id: JobId, jobs: Jobs, after: number, upTo: number): AsyncGenerator<Item> {
  for (let last = after; last < upTo; ) {
    const page = await jobs.ended(id, { after: last, limit: PAGE })
    yield* page.filter(({ settled }) => settled !== null && settled <= upTo)
    if (page.length < PAGE) return
    last = page.at(-1)?.settled ?? upTo
  }
}

const event = (name: string, id: number | null, data: unknown): string =>
  `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`
