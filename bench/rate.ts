import { mapConcurrent } from '../src/concurrency/map-concurrent.js'
import { cpuMs } from './process.js'

export interface Rate {
  readonly clips: number // per second
  readonly cpuMs: number // per clip; less sensitive to other load than the rate
}

export function rate<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<Rate> {
  return rateOf(items.length, () => mapConcurrent(items, atOnce, work))
}

/** Measures the rate of work on a number of clips. */
export async function rateOf(clips: number, work: () => Promise<void>): Promise<Rate> {
  const [started, startedCpuMs] = [performance.now(), cpuMs()]
  await work()
  return {
    clips: (clips * 1000) / (performance.now() - started),
    cpuMs: (cpuMs() - startedCpuMs) / clips,
  }
}

export const show = ({ clips, cpuMs }: Rate): string =>
  `${clips.toFixed(2)} clips/s, ${cpuMs.toFixed(0)} ms of CPU a clip`

export const asShare = (ratio: number): string => `${(100 * ratio).toFixed(0)} %`
