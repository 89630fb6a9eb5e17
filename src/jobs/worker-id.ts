import { randomUUID } from 'node:crypto'
import type { JobQueue } from './jobs.js'

const PROCESS_ID = randomUUID() // the number of a process is not unique between containers

/** Returns a name for a worker of this process, which holds leases under it. */
export const newWorkerId = (): string => `${PROCESS_ID}/${randomUUID()}`

/**
 * Queues again what workers of other processes hold. The caller must hold the write lock of the gallery,
 * so that no such process runs any more.
 */
export async function releaseOrphanedLeases(queue: JobQueue): Promise<void> {
  const orphans = (await queue.workers()).filter((worker) => !isOwn(worker))
  for (const worker of orphans) await queue.releaseLeases(worker, 'dead')
}

const isOwn = (worker: string): boolean => worker.startsWith(`${PROCESS_ID}/`)
