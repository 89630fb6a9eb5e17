import { type Job, run, start } from './ffmpeg.js'
import type { FfmpegProcess } from './ffmpeg-process.js'
import type { ReadAhead } from './read-ahead.js'
import { Report } from './report.js'
import type { Source } from './source.js'

const HALVES = ['sound', 'picture'] as const
export type Half = (typeof HALVES)[number]
export type Reports = Readonly<Record<Half, Report>>

/**
 * Sound and picture of a file out of one ffmpeg, since starting one costs more than decoding a short clip. Each half is
 * the bytes that an ffmpeg of its own would give, and gets one where they cannot come together: where the one fails,
 * and where a half waits for ffmpeg while ffmpeg waits for the other half to be read, as at a long gap in one of them.
 */
export function together(
  source: Source,
  jobs: Readonly<Record<Half, Job>>,
  reports: Reports,
  signal?: AbortSignal,
): Record<Half, AsyncGenerator<Buffer, void>> {
  const pair = new Pair(source, jobs, signal)
  const half = async function* (name: Half): AsyncGenerator<Buffer, void> {
    let passed = 0
    for await (const chunk of pair.half(name)) {
      if (passed === 0 && name === 'picture') reports.picture.firstBeat ??= pair.firstBeat
      passed += chunk.length
      yield chunk
    }
    if (pair.isWhole(name, passed)) pair.tell(name, reports[name])
    else yield* beyond(passed, run(source, jobs[name], reports[name], signal))
  }
  return { sound: half('sound'), picture: half('picture') }
}

class Pair {
  #process: Promise<FfmpegProcess> | null = null
  #abandoned = new Set<Half>()
  #readers = HALVES.length
  #content = false
  readonly #report: Report

  constructor(
    private readonly source: Source,
    private readonly jobs: Readonly<Record<Half, Job>>,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#report = new Report(source)
  }

  /** When the first picture was seen, in seconds; known once the first part of the picture has come. */
  get firstBeat(): number | null {
    return this.#report.firstBeat
  }

  /** What came of a half until its end, or until it was abandoned; the last to leave ends the process. */
  async *half(name: Half): AsyncGenerator<Buffer, void> {
    this.#process ??= start(this.source, [this.jobs.sound, this.jobs.picture], this.#report, this.signal)
    const process = await this.#process
    const [own, other] = outputsOf(process, name)
    own.onFull = () => other.isAwaited && other.abandon()
    try {
      for (;;) {
        if (own.isEmpty && other.isFull) own.abandon()
        const chunk = await process.patiently(() => own.next())
        if (chunk === null) break
        if (this.jobs[name].beats) await process.patiently(() => Promise.race([this.#report.begun, process.exited]))
        yield chunk
      }
      if (own.isAbandoned) this.#abandoned.add(name)
      else this.#content = (await process.exitCode()) === 0
    } finally {
      own.abandon()
      if (--this.#readers === 0) await process[Symbol.asyncDispose]()
    }
  }

  /** Having nothing of a half is believed only of an ffmpeg that had nothing to complain of. */
  isWhole(name: Half, bytes: number): boolean {
    if (this.#abandoned.has(name)) return false
    return this.#content && (bytes > 0 || !this.#report.saysTrouble)
  }

  /** What ffmpeg said is told once: of the picture, where that came from here. */
  tell(name: Half, report: Report): void {
    if (name === 'picture' || this.#abandoned.has('picture')) report.adopt(this.#report)
  }
}

function outputsOf({ outputs }: FfmpegProcess, name: Half): readonly [own: ReadAhead, other: ReadAhead] {
  const [sound, picture] = outputs
  return name === 'sound' ? [sound, picture] : [picture, sound]
}

/** What comes after so many bytes. */
async function* beyond(bytes: number, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let left = bytes
  for await (const chunk of chunks) {
    if (left < chunk.length) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}
