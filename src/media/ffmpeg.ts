import { PassThrough } from 'node:stream'
import ffmpeg, { type FfmpegCommand } from 'fluent-ffmpeg'
import { LIMITS } from '../config.js'
import { AppError } from '../errors.js'
import { ffmpegMissing, findFfmpeg } from './executables.js'
import { INPUT_GUARDS } from './formats.js'
import type { Report } from './report.js'
import type { Source } from './source.js'

/** Bytes decoded ahead of the reader; beyond them ffmpeg waits. */
const AHEAD_BYTES = 2 * 1024 ** 2

export interface Job {
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly alsoRead?: number // a stream that is read and thrown away, for the sake of its clock
  readonly largestAllocation: number // bytes, for one block of memory inside ffmpeg
  readonly stallMs?: number
}

/**
 * Runs one ffmpeg and yields what it writes. The process lives exactly as long as the generator: closing it early, an
 * abort or a stall kills the process, and each returns only when the process is gone. An ffmpeg that fails by itself
 * is no error here, since what it wrote until then may be of use: `report` says so.
 */
export async function* run(
  source: Source,
  job: Job,
  report: Report,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  signal?.throwIfAborted()
  const stdout = new PassThrough({ highWaterMark: AHEAD_BYTES, emitClose: false }) // fluent-ffmpeg kills upon 'close'
  const command = commandOf(source, job, stdout, await findFfmpeg())
  await using child = new Child(command, report, job.stallMs ?? LIMITS.stallMs, signal)
  const chunks: AsyncIterator<Buffer> = stdout[Symbol.asyncIterator]()
  for (;;) {
    const chunk = await child.patiently(() => chunks.next())
    if (chunk.done) break
    yield chunk.value
  }
  report.failed = (await child.patiently(() => child.ended)) !== null
}

function commandOf(source: Source, job: Job, stdout: PassThrough, program: string): FfmpegCommand {
  const command = ffmpeg(source.url).setFfmpegPath(program)
  const limits = ['-max_alloc', String(job.largestAllocation)]
  command.inputOptions('-nostdin', '-v', 'error', ...limits, ...INPUT_GUARDS, ...job.input)
  command.output(stdout).outputOptions('-sn', '-dn', ...job.output)
  if (job.alsoRead !== undefined) {
    command.output('-').outputOptions('-map', `0:${job.alsoRead}`, '-c', 'copy', '-f', 'null')
  }
  return command
}

class Child implements AsyncDisposable {
  readonly ended: Promise<Error | null> // once the process is gone
  #started = false
  #closed = false
  #interrupt: (reason: unknown) => void = () => {}
  #clock: NodeJS.Timeout | undefined

  constructor(
    private readonly command: FfmpegCommand,
    report: Report,
    private readonly stallMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.ended = new Promise((resolve) => {
      command.once('end', () => resolve(null))
      command.once('error', (error: Error) => {
        resolve(error)
        if (!this.#started) this.#interrupt(ffmpegMissing('ffmpeg', error)) // installed, and broken
      })
    })
    command.on('start', () => this.#onStart())
    command.on('stderr', (line: string) => {
      this.#clock?.refresh()
      report.hear(line)
    })
    signal?.addEventListener('abort', this.#onAbort)
    command.run()
  }

  /** Waits for ffmpeg, at most `stallMs` without a sign of life. The clock runs only here: a slow reader is no stall. */
  async patiently<T>(what: () => Promise<T>): Promise<T> {
    this.signal?.throwIfAborted()
    this.#clock = setTimeout(() => this.#interrupt(stalled(this.stallMs)), this.stallMs)
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#interrupt = reject
        what().then(resolve, reject)
      })
    } finally {
      clearTimeout(this.#clock)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.signal?.removeEventListener('abort', this.#onAbort)
    if (!this.#started) return
    this.command.kill('SIGKILL')
    await this.ended
  }

  #onStart(): void {
    this.#started = true
    if (this.#closed || this.signal?.aborted) this.command.kill('SIGKILL')
  }

  readonly #onAbort = (): void => {
    this.command.kill('SIGKILL')
    this.#interrupt(this.signal?.reason)
  }
}

function stalled(stallMs: number): AppError {
  return new AppError('MEDIA_STALLED', `Expected progress within ${stallMs / 1000} s, got none: ffmpeg was stopped`)
}
