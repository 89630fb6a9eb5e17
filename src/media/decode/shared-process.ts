import type { BufferedPipe } from '../process/buffered-pipe.js'
import { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg, startFfmpeg } from '../process/ffmpeg.js'
import type { FfmpegProcess } from '../process/ffmpeg-process.js'
import type { StagedFile } from '../staging/staged-file.js'

const STREAM_KINDS = ['sound', 'picture'] as const
export type StreamKind = (typeof STREAM_KINDS)[number]
export type DecoderLogs = Readonly<Record<StreamKind, DecoderLog>>

/**
 * Sound and picture of a file out of one ffmpeg, since starting one costs more than decoding a short clip. Each half is
 * the bytes that an ffmpeg of its own would give, and gets one where they cannot come together: where the one fails,
 * and where a half waits for ffmpeg while ffmpeg waits for the other half to be read, as at a long gap in one of them.
 */
export function decodeInOneProcess(
  source: StagedFile,
  jobs: Readonly<Record<StreamKind, FfmpegCommand>>,
  reports: DecoderLogs,
  signal?: AbortSignal,
): Record<StreamKind, AsyncGenerator<Buffer, void>> {
  const pair = new SharedProcess(source, jobs, signal)
  const half = async function* (name: StreamKind): AsyncGenerator<Buffer, void> {
    let passed = 0
    for await (const chunk of pair.chunksOf(name)) {
      if (passed === 0 && name === 'picture')
        reports.picture.firstPositionSeconds ??= pair.firstBeat
      passed += chunk.length
      yield chunk
    }
    if (pair.isWhole(name, passed)) pair.reportTo(name, reports[name])
    else yield* skipBytes(passed, runFfmpeg(source, jobs[name], reports[name], signal))
  }
  return { sound: half('sound'), picture: half('picture') }
}

class SharedProcess {
  #process: Promise<FfmpegProcess> | null = null
  #abandoned = new Set<StreamKind>()
  #readers = STREAM_KINDS.length
  #content = false
  readonly #report: DecoderLog

  constructor(
    private readonly source: StagedFile,
    private readonly jobs: Readonly<Record<StreamKind, FfmpegCommand>>,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#report = new DecoderLog(source)
  }

  /** When the first picture was seen, in seconds; known once the first part of the picture has come. */
  get firstBeat(): number | null {
    return this.#report.firstPositionSeconds
  }

  /** What came of a half until its end, or until it was abandoned; the last to leave ends the process. */
  async *chunksOf(name: StreamKind): AsyncGenerator<Buffer, void> {
    this.#process ??= startFfmpeg(
      this.source,
      [this.jobs.sound, this.jobs.picture],
      this.#report,
      this.signal,
    )
    const process = await this.#process
    const [own, other] = outputsOf(process, name)
    own.onFull = () => other.isAwaited && other.discard()
    try {
      for (;;) {
        if (own.isEmpty && other.isFull) own.discard()
        const chunk = await process.withStallTimeout(() => own.next())
        if (chunk === null) break
        if (this.jobs[name].printsPosition)
          await process.withStallTimeout(() => Promise.race([this.#report.started, process.exited]))
        yield chunk
      }
      if (own.isDiscarded) this.#abandoned.add(name)
      else this.#content = (await process.exitCode()) === 0
    } finally {
      own.discard()
      if (--this.#readers === 0) await process[Symbol.asyncDispose]()
    }
  }

  /** Having nothing of a half is believed only of an ffmpeg that had nothing to complain of. */
  isWhole(name: StreamKind, bytes: number): boolean {
    if (this.#abandoned.has(name)) return false
    return this.#content && (bytes > 0 || !this.#report.hasErrors)
  }

  /** What ffmpeg said is told once: of the picture, where that came from here. */
  reportTo(name: StreamKind, report: DecoderLog): void {
    if (name === 'picture' || this.#abandoned.has('picture')) report.merge(this.#report)
  }
}

function outputsOf(
  { outputs }: FfmpegProcess,
  name: StreamKind,
): readonly [own: BufferedPipe, other: BufferedPipe] {
  const [sound, picture] = outputs
  return name === 'sound' ? [sound, picture] : [picture, sound]
}

/** What comes after so many bytes. */
async function* skipBytes(
  bytes: number,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  let left = bytes
  for await (const chunk of chunks) {
    if (left < chunk.length) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}
