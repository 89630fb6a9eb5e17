import { readFileSync } from 'node:fs'

const TICK_MS = 10 // of Linux

/** Milliseconds of CPU time of this process and, on Linux, of every process that it has started, itself or by another. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  const [, , ended, ofSystem] = times('self')
  const living = running().flatMap(times)
  return (
    (user + system) / 1000 +
    [ended, ofSystem, ...living].reduce((sum: number, time) => sum + (time ?? 0), 0)
  )
}

/** Milliseconds of a process: user and system, and the same of its children that have ended. */
const times = (pid: string): readonly number[] =>
  fields(pid)
    .slice(11, 15)
    .map((ticks) => Number(ticks) * TICK_MS)

/** What runs because of a process: ffmpegs are children of the one that starts them. */
export function running(pid = String(process.pid)): string[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean)
  return children.flatMap((child) => [child, ...running(child)])
}

/** MiB in memory of this process, and of the processes that it has running (on Linux). */
export function memoryMiB(): { readonly own: number; readonly children: number } {
  const toMiB = (bytes: number) => bytes / 1024 ** 2
  return {
    own: toMiB(process.memoryUsage.rss()),
    children: toMiB(running().reduce((sum, pid) => sum + rss(pid), 0)),
  }
}

/** The most that was in memory at any look. */
export class PeakMemory implements Disposable {
  own = 0
  children = 0
  readonly #clock = setInterval(() => this.look(), 200)

  look(): void {
    const { own, children } = memoryMiB()
    this.own = Math.max(this.own, own)
    this.children = Math.max(this.children, children)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#clock)
  }
}

const PAGE_BYTES = 4096
const rss = (pid: string): number => Number(fields(pid)[21] ?? 0) * PAGE_BYTES

/** Of /proc/<pid>/stat, after the name of the program, which may hold anything. */
function fields(pid: string): string[] {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Nothing where there is no such process, or no Linux. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
