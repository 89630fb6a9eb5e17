import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { AppError, isBusy, toAppError } from '../../errors.js'
import type { ProcessLimits } from '../staging/staged-file.js'
import { BufferedPipe } from './buffered-pipe.js'
import { ffmpegMissing } from './executables.js'
import { spawnProcess } from './spawn.js'
import type { Exit, SpawnedProcess } from './spawn-server.js'

/** File descriptors of the outputs, as in `pipe:1` and `pipe:3`. 0 is closed and 2 is stderr. */
export const OUTPUT_FDS = [1, 3] as const

/** Exit codes of a shell that cannot run a program. */
const CANNOT_RUN: readonly number[] = [126, 127]

/**
 * Sets the limits and replaces the shell by the program. The shell never parses the arguments,
 * since they are positional. Some systems cannot limit memory. The time limit is soft, since a hard
 * one kills without SIGXCPU, which names the reason. The autogroup priority puts decoders behind
 * the server on Linux systems that schedule processes by session.
 */
const LIMIT_SCRIPT =
  'ulimit -d "$1" 2>/dev/null; ulimit -S -t "$2"; shift 2; ' +
  '{ echo 5 >/proc/$$/autogroup; } 2>/dev/null; exec nice -n 5 "$@"'

/** Options of an ffmpeg or ffprobe process. */
export interface ProcessOptions {
  readonly limits: ProcessLimits
  readonly stallMs: number // maximum time without output, counted only while the caller waits
  readonly onLine: (line: string) => unknown // called with each line of stderr
  readonly signal?: AbortSignal | undefined
}

/**
 * Owns one ffmpeg or ffprobe process group. Dispose, abort or a stall kills the group; dispose
 * resolves once it has exited.
 */
export class FfmpegProcess implements AsyncDisposable {
  readonly outputs: readonly [BufferedPipe, BufferedPipe]
  readonly exited: Promise<Exit>
  readonly #interrupts = new Set<(reason: unknown) => void>() // of the waits in progress
  #activeAt = performance.now()
  #hasExited = false

  private constructor(
    private readonly program: string,
    private readonly spawned: SpawnedProcess,
    private readonly options: ProcessOptions,
  ) {
    const [first, stderr, second] = spawned.outputs
    this.outputs = [
      new BufferedPipe(first, this.#onActivity),
      new BufferedPipe(second, this.#onActivity),
    ]
    this.exited = this.#end()
    stderr.on('error', () => {}) // 'close' follows
    createInterface({ input: stderr }).on('line', (line) => {
      this.#onActivity()
      options.onLine(line)
    })
    options.signal?.addEventListener('abort', this.#onAbort)
    if (options.signal?.aborted) this.#kill()
  }

  /**
   * Starts a program. Throws FFMPEG_MISSING if it is installed but broken, SYSTEM_BUSY if the
   * system lacks the resources.
   */
  static async start(
    program: string,
    args: readonly string[],
    options: ProcessOptions,
  ): Promise<FfmpegProcess> {
    try {
      return new FfmpegProcess(program, await spawnLimited(program, args, options.limits), options)
    } catch (cause) {
      throw isBusy(cause) ? toAppError(cause) : ffmpegMissing(program, cause)
    }
  }

  /**
   * Awaits an operation on the process. Throws MEDIA_STALLED after `stallMs` without output, or the
   * abort reason. Time between calls does not count, so a slow reader is no stall.
   */
  async withStallTimeout<T>(operation: () => Promise<T>): Promise<T> {
    this.options.signal?.throwIfAborted()
    const { promise, interrupt } = interruptible(operation())
    const stopTimer = this.#startTimer(interrupt)
    this.#interrupts.add(interrupt)
    try {
      return await promise
    } finally {
      stopTimer()
      this.#interrupts.delete(interrupt)
    }
  }

  /**
   * Waits for the exit. Returns the exit code, or null if another process killed it. Throws
   * MEDIA_TOO_LARGE if it exceeded its processor time, FFMPEG_MISSING if it could not be run.
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

  /**
   * Starts the stall timer and returns a function that stops it. After a timeout, pending output is
   * read before the check: this process itself may have been blocked.
   */
  #startTimer(interrupt: (reason: unknown) => void): () => void {
    const { stallMs } = this.options
    const since = performance.now()
    const leftMs = () => Math.max(since, this.#activeAt) + stallMs - performance.now()
    const check = () => {
      if (!this.#interrupts.has(interrupt)) return
      if (leftMs() > 0) timer = setTimeout(() => setImmediate(check), leftMs())
      else interrupt(stalled(this.program, stallMs))
    }
    let timer = setTimeout(() => setImmediate(check), stallMs)
    return () => clearTimeout(timer)
  }

  async #end(): Promise<Exit> {
    const [, stderr] = this.spawned.outputs
    const stderrClosed = new Promise((resolve) => stderr.once('close', resolve))
    const [exit] = await Promise.all([this.spawned.ended, stderrClosed])
    this.#hasExited = true
    return exit
  }

  #outOfTime(): AppError {
    const { cpuSeconds } = this.options.limits
    const detail =
      `Expected at most ${cpuSeconds} s of processor time for decoding, got more: ` +
      'ask with a shorter range.'
    return new AppError('MEDIA_TOO_LARGE', detail)
  }

  #kill(): void {
    if (!this.#hasExited) this.spawned.kill()
  }

  readonly #onActivity = (): void => {
    this.#activeAt = performance.now()
  }

  readonly #onAbort = (): void => {
    this.#kill()
    for (const interrupt of this.#interrupts) interrupt(this.options.signal?.reason)
  }
}

function spawnLimited(
  program: string,
  args: readonly string[],
  { memoryBytes, cpuSeconds }: ProcessLimits,
): Promise<SpawnedProcess> {
  if (process.platform === 'win32') return spawnProcess(program, args)
  const limits = [String(Math.floor(memoryBytes / 1024)), String(cpuSeconds ?? 'unlimited')]
  return spawnProcess('/bin/sh', ['-c', LIMIT_SCRIPT, 'sh', ...limits, program, ...args])
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
  const seconds = stallMs / 1000
  const detail = `Expected progress within ${seconds} s, got none: ${basename(program)} was stopped`
  return new AppError('MEDIA_STALLED', detail)
}
