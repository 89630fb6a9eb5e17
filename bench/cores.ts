import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { running } from './process.js'

export const CORES = availableParallelism()

/**
 * Runs work with this process and its descendants on some of the cores. Returns null if taskset is
 * missing.
 */
export async function onCores<T>(
  from: number,
  to: number,
  work: () => Promise<T>,
): Promise<T | null> {
  if (!(await hold(from, to))) return null
  try {
    return await work()
  } finally {
    await hold(0, CORES)
  }
}

async function hold(from: number, to: number): Promise<boolean> {
  const taskset = (pid: string) =>
    promisify(execFile)('taskset', ['-acp', `${from}-${to - 1}`, pid])
  return Promise.all([String(process.pid), ...running()].map(taskset)).then(
    () => true,
    () => false,
  )
}
