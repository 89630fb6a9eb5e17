import { randomUUID } from 'node:crypto'
import type { JobQueue } from './jobs.js'

const PROCESS_ID = randomUUID() // a process number is not unique across containers

/** Returns a new worker id of this process. A worker id is the owner of leases. */
export const newWorkerId = (): string => `${PROCESS_ID}/${randomUUID()}`

/**
 * Queues items of workers of other processes again. The caller must hold the write lock of the
 * gallery: no such process then runs.
 */
export async function releaseOrphanedLeases(queue: JobQueue): Promise<void> {
  const orphans = (await queue.workers()).filter((worker) => !isOwn(worker))
  for (const worker of orphans) await queue.releaseLeases(worker, 'dead')
}

const isOwn = (worker: string): boolean => worker.startsWith(`${PROCESS_ID}/`)
