import { readFileSync } from 'node:fs'

const TICK_MS = 10 // clock tick on Linux

/** Returns the CPU time in ms of this process and, on Linux, of all its descendants. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  const [, , ended, ofSystem] = times('self')
  const living = running().flatMap(times)
  return (
    (user + system) / 1000 +
    [ended, ofSystem, ...living].reduce((sum: number, time) => sum + (time ?? 0), 0)
  )
}

/** Returns the user and system time in ms of a process and of its children that have ended. */
const times = (pid: string): readonly number[] =>
  fields(pid)
    .slice(11, 15)
    .map((ticks) => Number(ticks) * TICK_MS)

/** Returns the running descendants of a process, such as ffmpeg processes. */
export function running(pid = String(process.pid)): string[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean)
  return children.flatMap((child) => [child, ...running(child)])
}

/** Returns the memory in MiB of this process and, on Linux, of its running descendants. */
export function memoryMiB(): { readonly own: number; readonly children: number } {
  const toMiB = (bytes: number) => bytes / 1024 ** 2
  return {
    own: toMiB(process.memoryUsage.rss()),
    children: toMiB(running().reduce((sum, pid) => sum + rss(pid), 0)),
  }
}

/** Samples memory and records the peak. */
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

/** Returns the fields of /proc/<pid>/stat after the program name, which can contain spaces. */
function fields(pid: string): string[] {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Returns nothing if the process does not exist or the system is not Linux. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
