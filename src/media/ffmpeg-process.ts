import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { AppError, isBusy, toAppError } from '../errors.js'
import { ffmpegMissing } from './executables.js'
import { ReadAhead } from './read-ahead.js'

/** File descriptors of the outputs, as `pipe:1` and `pipe:3`: 0 is closed and 2 is for words. */
export const OUTPUT_FDS = [1, 3] as const

export interface ProcessOptions {
  readonly stallMs: number // without a sign of life, while it is waited for
  readonly hear: (line: string) => unknown // each line of stderr
  readonly signal?: AbortSignal | undefined
}

/**
 * One ffmpeg or ffprobe, alive no longer than until it is disposed of; that, an abort or a stall kills it with whatever it has
 * started, and disposal returns when it is gone.
 */
export class FfmpegProcess implements AsyncDisposable {
  readonly outputs: readonly [ReadAhead, ReadAhead]
  readonly ended: Promise<number | null> // its exit code, once it is gone; null where it was killed
  readonly #child: ChildProcess
  readonly #interrupts = new Set<(reason: unknown) => void>() // of those who wait
  #lifeAt = performance.now()
  #failure: AppError | null = null
  #gone = false

  constructor(
    private readonly program: string,
    args: readonly string[],
    private readonly options: ProcessOptions,
  ) {
    // Detached: a group of its own, which can be killed whole where `program` is a wrapper.
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true, windowsHide: true })
    if (!this.#child.stderr) throw notStarted(this.#child)
    const output = (fd: number) => new ReadAhead(this.#child.stdio[fd] as Readable, this.#showLife)
    this.outputs = [output(OUTPUT_FDS[0]), output(OUTPUT_FDS[1])]
    this.ended = this.#end()
    createInterface({ input: this.#child.stderr as Readable }).on('line', (line) => {
      this.#showLife()
      options.hear(line)
    })
    options.signal?.addEventListener('abort', this.#onAbort)
  }

  /** Waits for ffmpeg, at most `stallMs` without a sign of life. The clock runs only here: a slow reader is no stall. */
  async patiently<T>(what: () => Promise<T>): Promise<T> {
    this.options.signal?.throwIfAborted()
    if (this.#failure) throw this.#failure
    const { promise, interrupt } = interruptible(what())
    const stopClock = this.#startClock(interrupt)
    this.#interrupts.add(interrupt)
    try {
      return await promise
    } finally {
      stopClock()
      this.#interrupts.delete(interrupt)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    for (const output of this.outputs) output.abandon()
    this.#kill()
    await this.ended
  }

  /** Where this process itself was held up, what ffmpeg has written meanwhile is read before it is judged. */
  #startClock(interrupt: (reason: unknown) => void): () => void {
    const { stallMs } = this.options
    const since = performance.now()
    const leftMs = () => Math.max(since, this.#lifeAt) + stallMs - performance.now()
    const judge = () => {
      if (!this.#interrupts.has(interrupt)) return
      if (leftMs() > 0) clock = setTimeout(() => setImmediate(judge), leftMs())
      else interrupt(stalled(this.program, stallMs))
    }
    let clock = setTimeout(() => setImmediate(judge), stallMs)
    return () => clearTimeout(clock)
  }

  async #end(): Promise<number | null> {
    try {
      const [[code]] = await Promise.all([once(this.#child, 'exit'), once(this.#child.stderr as Readable, 'close')])
      return code
    } catch (cause) {
      this.#failure = isBusy(cause) ? toAppError(cause) : ffmpegMissing(this.program, cause) // installed, and broken
      this.#interrupt(this.#failure)
      return null
    } finally {
      this.#gone = true
    }
  }

  #kill(): void {
    const { pid } = this.#child
    if (this.#gone || pid === undefined) return
    if (process.platform === 'win32') this.#child.kill('SIGKILL')
    else signalGroup(pid)
  }

  readonly #showLife = (): void => {
    this.#lifeAt = performance.now()
  }

  #interrupt(reason: unknown): void {
    for (const interrupt of this.#interrupts) interrupt(reason)
  }

  readonly #onAbort = (): void => {
    this.#kill()
    this.#interrupt(this.options.signal?.reason)
  }
}

/** Where there are no descriptors left for its pipes, Node starts nothing, and says so later. */
function notStarted(child: ChildProcess): AppError {
  child.once('error', () => {})
  return toAppError(Object.assign(new Error(`${basename(child.spawnfile)} cannot be started`), { code: 'EMFILE' }))
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // it has gone by itself just now
  }
}

function interruptible<T>(awaited: Promise<T>): { promise: Promise<T>; interrupt: (reason: unknown) => void } {
  let interrupt: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((resolve, reject) => {
    interrupt = reject
    awaited.then(resolve, reject)
  })
  return { promise, interrupt }
}

function stalled(program: string, stallMs: number): AppError {
  const detail = `Expected progress within ${stallMs / 1000} s, got none: ${basename(program)} was stopped`
  return new AppError('MEDIA_STALLED', detail)
}
