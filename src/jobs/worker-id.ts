import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { JobQueue } from './jobs.js'

const STARTED = Math.round(performance.timeOrigin) // tells this process from an earlier one of the same number

/** A name for who holds leases in this process, by which others can tell whether it still lives. */
export function newWorkerId(): string {
  return [hostname(), process.pid, STARTED, randomUUID()].join('/')
}

/** Queues again what was held by processes that are gone; of the others only the lease tells. */
export async function releaseOrphanedLeases(queue: JobQueue): Promise<void> {
  for (const owner of await queue.workers())
    if (isOrphaned(owner)) await queue.releaseLeases(owner, 'dead')
}

/** Whether an owner was of this machine and its process is surely gone. */
function isOrphaned(owner: string): boolean {
  const [host, pid, started] = owner.split('/')
  if (host !== hostname()) return false
  return Number(pid) === process.pid ? Number(started) !== STARTED : !isRunning(Number(pid))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
