import type { BufferedPipe } from '../process/buffered-pipe.js'
import { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg, startFfmpeg } from '../process/ffmpeg.js'
import type { FfmpegProcess } from '../process/ffmpeg-process.js'
import type { StagedFile } from '../staging/staged-file.js'

const STREAM_KINDS = ['audio', 'video'] as const

/** The two streams of a file that are decoded. */
export type StreamKind = (typeof STREAM_KINDS)[number]

/** One log per stream. */
export type DecoderLogs = Readonly<Record<StreamKind, DecoderLog>>

/**
 * Decodes audio and video with one ffmpeg, since starting one costs more than decoding a short
 * clip. Falls back to one process per stream if the shared one fails or deadlocks (one pipe full
 * while the other is awaited). A long gap in one stream causes a deadlock. Each stream yields the
 * same bytes either way.
 */
export function decodeInOneProcess(
  source: StagedFile,
  commands: Readonly<Record<StreamKind, FfmpegCommand>>,
  logs: DecoderLogs,
  signal?: AbortSignal,
): Record<StreamKind, AsyncGenerator<Buffer, void>> {
  const shared = new SharedProcess(source, commands, signal)
  const stream = async function* (kind: StreamKind): AsyncGenerator<Buffer, void> {
    let bytes = 0
    for await (const chunk of shared.chunksOf(kind)) {
      if (bytes === 0 && kind === 'video')
        logs.video.firstPositionSeconds ??= shared.firstPositionSeconds
      bytes += chunk.length
      yield chunk
    }
    if (shared.isComplete(kind, bytes)) shared.mergeLogInto(kind, logs[kind])
    else yield* skipBytes(bytes, runFfmpeg(source, commands[kind], logs[kind], signal))
  }
  return { audio: stream('audio'), video: stream('video') }
}

/** Owns the shared ffmpeg and its two readers. */
class SharedProcess {
  readonly #abandoned = new Set<StreamKind>()
  readonly #log: DecoderLog
  #process: Promise<FfmpegProcess> | null = null
  #readers = STREAM_KINDS.length
  #succeeded = false

  constructor(
    private readonly source: StagedFile,
    private readonly commands: Readonly<Record<StreamKind, FfmpegCommand>>,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#log = new DecoderLog(source)
  }

  /** Time of the first video frame in seconds, known once the first video chunk has arrived. */
  get firstPositionSeconds(): number | null {
    return this.#log.firstPositionSeconds
  }

  /**
   * Yields the chunks of a stream until it ends or is abandoned. The last reader disposes of
   * ffmpeg.
   */
  async *chunksOf(kind: StreamKind): AsyncGenerator<Buffer, void> {
    const commands = [this.commands.audio, this.commands.video]
    this.#process ??= startFfmpeg(this.source, commands, this.#log, this.signal)
    const process = await this.#process
    const [own, other] = pipesOf(process, kind)
    own.onFull = () => other.isAwaited && other.discard()
    try {
      for (;;) {
        if (own.isEmpty && other.isFull) own.discard()
        const chunk = await process.withStallTimeout(() => own.next())
        if (chunk === null) break
        if (this.commands[kind].printsPosition)
          await process.withStallTimeout(() => Promise.race([this.#log.started, process.exited]))
        yield chunk
      }
      if (own.isDiscarded) this.#abandoned.add(kind)
      else this.#succeeded = (await process.exitCode()) === 0
    } finally {
      own.discard()
      if (--this.#readers === 0) await process[Symbol.asyncDispose]()
    }
  }

  /** An empty stream is accepted only if ffmpeg logged no error. */
  isComplete(kind: StreamKind, bytes: number): boolean {
    if (this.#abandoned.has(kind)) return false
    return this.#succeeded && (bytes > 0 || !this.#log.hasErrors)
  }

  /**
   * Merges the shared log into one stream's log only: the video's, unless its stream was abandoned.
   */
  mergeLogInto(kind: StreamKind, log: DecoderLog): void {
    if (kind === 'video' || this.#abandoned.has('video')) log.merge(this.#log)
  }
}

function pipesOf(
  { outputs }: FfmpegProcess,
  kind: StreamKind,
): readonly [own: BufferedPipe, other: BufferedPipe] {
  const [audio, video] = outputs
  return kind === 'audio' ? [audio, video] : [video, audio]
}

/** Yields what follows the first `bytes` bytes. */
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
