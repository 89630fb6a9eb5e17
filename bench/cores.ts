import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'

export const CORES = availableParallelism()

/** Runs work with this process and what it starts held to some of the cores; null where there is no taskset. */
export async function onCores<T>(from: number, to: number, work: () => Promise<T>): Promise<T | null> {
  if (!(await hold(from, to))) return null
  try {
    return await work()
  } finally {
    await hold(0, CORES)
  }
}

async function hold(from: number, to: number): Promise<boolean> {
  return promisify(execFile)('taskset', ['-acp', `${from}-${to - 1}`, String(process.pid)]).then(
    () => true,
    () => false,
  )
}
