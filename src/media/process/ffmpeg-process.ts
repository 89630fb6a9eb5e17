import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { AppError, isBusy, toAppError } from '../../errors.js'
import type { ProcessLimits } from '../staging/staged-file.js'
import { BufferedPipe } from './buffered-pipe.js'
import { ffmpegMissing } from './executables.js'
import { launch } from './spawn.js'
import type { Exit, SpawnedProcess } from './spawn-server.js'

/** File descriptors of the outputs, as `pipe:1` and `pipe:3`: 0 is closed and 2 is for words. */
export const OUTPUT_FDS = [1, 3] as const

export interface ProcessOptions {
  readonly limits: ProcessLimits
  readonly stallMs: number // without a sign of life, while it is waited for
  readonly onLine: (line: string) => unknown // each line of stderr
  readonly signal?: AbortSignal | undefined
}

/**
 * One ffmpeg or ffprobe, alive no longer than until it is disposed of; that, an abort or a stall kills it with whatever it has
 * started, and disposal returns when it is gone.
 */
export class FfmpegProcess implements AsyncDisposable {
  readonly outputs: readonly [BufferedPipe, BufferedPipe]
  readonly exited: Promise<Exit>
  readonly #interrupts = new Set<(reason: unknown) => void>() // of those who wait
  #lifeAt = performance.now()
  #gone = false

  private constructor(
    private readonly program: string,
    private readonly launched: SpawnedProcess,
    private readonly options: ProcessOptions,
  ) {
    const [first, words, second] = launched.outputs
    this.outputs = [
      new BufferedPipe(first, this.#showLife),
      new BufferedPipe(second, this.#showLife),
    ]
    this.exited = this.#end()
    words.on('error', () => {}) // 'close' follows
    createInterface({ input: words }).on('line', (line) => {
      this.#showLife()
      options.onLine(line)
    })
    options.signal?.addEventListener('abort', this.#onAbort)
    if (options.signal?.aborted) this.#kill()
  }

  /** FFMPEG_MISSING where it is installed and broken, SYSTEM_BUSY where the system has no room for it. */
  static async start(
    program: string,
    args: readonly string[],
    options: ProcessOptions,
  ): Promise<FfmpegProcess> {
    try {
      return new FfmpegProcess(program, await launchLimited(program, args, options.limits), options)
    } catch (cause) {
      throw isBusy(cause) ? toAppError(cause) : ffmpegMissing(program, cause)
    }
  }

  /** Waits for ffmpeg, at most `stallMs` without a sign of life. The clock runs only here: a slow reader is no stall. */
  async withStallTimeout<T>(what: () => Promise<T>): Promise<T> {
    this.options.signal?.throwIfAborted()
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

  /**
   * Waits for the end. Answers with the exit code, null if another process killed it. Throws
   * MEDIA_TOO_LARGE if it used up its processor time, FFMPEG_MISSING if it could not be run.
   */
  async exitCode(): Promise<number | null> {
    const { code, signal } = await this.withStallTimeout(() => this.exited)
    if (signal === 'SIGXCPU') throw this.#outOfTime()
    if (code !== null && CANNOT_RUN.includes(code)) throw ffmpegMissing(this.program)
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    for (const output of this.outputs) output.discard()
    this.#kill()
    await this.exited
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

  async #end(): Promise<Exit> {
    const [, words] = this.launched.outputs
    const said = new Promise((resolve) => words.once('close', resolve))
    const [exit] = await Promise.all([this.launched.ended, said])
    this.#gone = true
    return exit
  }

  #outOfTime(): AppError {
    const { cpuSeconds } = this.options.limits
    const detail = `Decoding took more than ${cpuSeconds} s of processor time: ask with a shorter range.`
    return new AppError('MEDIA_TOO_LARGE', detail)
  }

  #kill(): void {
    if (!this.#gone) this.launched.kill()
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

/** Exit codes by which the shell says that it cannot run a program. */
const CANNOT_RUN: readonly number[] = [126, 127]
/**
 * Arguments are positional, so the shell never parses them. Some systems cannot limit memory. The limit
 * of time is a soft one: at a hard one the signal would not tell the reason. Decoders take second place
 * to the server: where Linux groups processes by session (autogroup), by a priority of their group.
 */
const LIMIT_SCRIPT =
  'ulimit -d "$1" 2>/dev/null; ulimit -S -t "$2"; shift 2; ' +
  '{ echo 5 >/proc/$$/autogroup; } 2>/dev/null; exec nice -n 5 "$@"'

function launchLimited(
  program: string,
  args: readonly string[],
  { memoryBytes, cpuSeconds }: ProcessLimits,
): Promise<SpawnedProcess> {
  if (process.platform === 'win32') return launch(program, args)
  const limits = [String(Math.floor(memoryBytes / 1024)), String(cpuSeconds ?? 'unlimited')]
  return launch('/bin/sh', ['-c', LIMIT_SCRIPT, 'sh', ...limits, program, ...args])
}

function interruptible<T>(awaited: Promise<T>): {
  promise: Promise<T>
  interrupt: (reason: unknown) => void
} {
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
