import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { JobQueue } from '../gallery/jobs.js'

const STARTED = Math.round(performance.timeOrigin) // tells this process from an earlier one of the same number

/** A name for who holds leases in this process, by which others can tell whether it still lives. */
export function newOwner(): string {
  return [hostname(), process.pid, STARTED, randomUUID()].join('/')
}

/** Queues again what was held by processes that are gone; of the others only the lease tells. */
export async function releaseDead(queue: JobQueue): Promise<void> {
  for (const owner of await queue.owners()) if (isDead(owner)) await queue.release(owner, 'dead')
}

/** Whether an owner was of this machine and its process is surely gone. */
function isDead(owner: string): boolean {
  const [host, pid, started] = owner.split('/')
  if (host !== hostname()) return false
  return Number(pid) === process.pid ? Number(started) !== STARTED : !runs(Number(pid))
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
