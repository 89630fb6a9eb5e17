import ffmpeg from 'fluent-ffmpeg'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { DecoderLog } from './decoder-log.js'
import { findFfmpeg } from './executables.js'
import { FfmpegProcess, OUTPUT_FDS } from './ffmpeg-process.js'
import { INPUT_GUARDS } from './formats.js'

/** The options of one ffmpeg output, and the limits that decoding it needs. */
export interface FfmpegCommand {
  readonly input: readonly string[] // options before `-i`
  readonly output: readonly string[] // options of the output
  readonly threads?: number // of the decoder, 1 by default
  readonly maxAllocationBytes: number // of one block of memory in ffmpeg
  readonly stallMs?: number
  readonly printsPosition?: boolean // ffmpeg prints the time of the first frame before the frame
}

/**
 * Runs one ffmpeg and yields what it writes. The process lives as long as the generator: an early
 * return, an abort or a stall kills it and resolves once it has exited. An ffmpeg that fails by
 * itself is no error here, since its output until then may be usable: `log.failed` records it.
 */
export async function* runFfmpeg(
  source: StagedFile,
  command: FfmpegCommand,
  log: DecoderLog,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  await using child = await startFfmpeg(source, [command], log, signal)
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) break
    if (command.printsPosition)
      await child.withStallTimeout(() => Promise.race([log.started, child.exited]))
    yield chunk
  }
  log.failed = (await child.exitCode()) !== 0
}

/** Starts one ffmpeg that runs every command, at most one for each of `OUTPUT_FDS`. */
export async function startFfmpeg(
  source: StagedFile,
  commands: readonly FfmpegCommand[],
  log: DecoderLog,
  signal?: AbortSignal,
): Promise<FfmpegProcess> {
  const program = await findFfmpeg()
  signal?.throwIfAborted()
  const stallMs = Math.min(...commands.map((command) => command.stallMs ?? MEDIA_LIMITS.stallMs))
  return await FfmpegProcess.start(program, argumentsOf(source, commands), {
    limits: source.limits,
    stallMs,
    onLine: (line) => log.onLine(line),
    signal,
  })
}

/** Returns the arguments of the ffmpeg that runs every command. */
export function argumentsOf(
  { url, options = [] }: Pick<StagedFile, 'url' | 'options'>,
  commands: readonly FfmpegCommand[],
): readonly string[] {
  const maxAllocation = Math.min(...commands.map((command) => command.maxAllocationBytes))
  const threads = Math.max(...commands.map((command) => command.threads ?? 1))
  const builder = ffmpeg(url)
    .inputOptions('-nostdin', '-v', 'error', '-max_alloc', String(maxAllocation))
    .inputOptions(
      '-threads',
      String(threads),
      '-filter_threads',
      '1',
      ...INPUT_GUARDS,
      ...options,
      ...commands.flatMap((command) => command.input),
    )
  for (const [i, command] of commands.entries()) {
    builder.output(`pipe:${OUTPUT_FDS[i]}`).outputOptions('-sn', '-dn', ...command.output)
  }
  return builder._getArguments()
}
