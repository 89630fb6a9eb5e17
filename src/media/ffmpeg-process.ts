import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { AppError, isBusy, toAppError } from '../errors.js'
import { ffmpegMissing } from './executables.js'
import { launch } from './launch.js'
import type { Launched } from './launcher.js'
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
  readonly #interrupts = new Set<(reason: unknown) => void>() // of those who wait
  #lifeAt = performance.now()
  #gone = false

  private constructor(
    private readonly program: string,
    private readonly launched: Launched,
    private readonly options: ProcessOptions,
  ) {
    const [first, words, second] = launched.outputs
    this.outputs = [new ReadAhead(first, this.#showLife), new ReadAhead(second, this.#showLife)]
    this.ended = this.#end()
    words.on('error', () => {}) // 'close' follows
    createInterface({ input: words }).on('line', (line) => {
      this.#showLife()
      options.hear(line)
    })
    options.signal?.addEventListener('abort', this.#onAbort)
    if (options.signal?.aborted) this.#kill()
  }

  /** FFMPEG_MISSING where it is installed and broken, SYSTEM_BUSY where the system has no room for it. */
  static async start(program: string, args: readonly string[], options: ProcessOptions): Promise<FfmpegProcess> {
    try {
      return new FfmpegProcess(program, await launch(program, args), options)
    } catch (cause) {
      throw isBusy(cause) ? toAppError(cause) : ffmpegMissing(program, cause)
    }
  }

  /** Waits for ffmpeg, at most `stallMs` without a sign of life. The clock runs only here: a slow reader is no stall. */
  async patiently<T>(what: () => Promise<T>): Promise<T> {
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
    const [, words] = this.launched.outputs
    const said = new Promise((resolve) => words.once('close', resolve))
    const [code] = await Promise.all([this.launched.ended, said])
    this.#gone = true
    return code
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
