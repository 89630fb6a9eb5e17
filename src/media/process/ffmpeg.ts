import ffmpeg from 'fluent-ffmpeg'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import type { DecoderLog } from './decoder-log.js'
import { findFfmpeg } from './executables.js'
import { FfmpegProcess, OUTPUT_FDS } from './ffmpeg-process.js'
import { INPUT_GUARDS } from './formats.js'

/** One output of an ffmpeg, and what reading it takes. */
export interface FfmpegCommand {
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly threads?: number // of its decoder
  readonly largestAllocation: number // bytes, for one block of memory inside ffmpeg
  readonly stallMs?: number
  readonly showsProgress?: boolean // it tells the time of its first frame before the frame itself
}

/**
 * Runs one ffmpeg and yields what it writes. The process lives exactly as long as the generator: closing it early, an
 * abort or a stall kills the process, and each returns only when the process is gone. An ffmpeg that fails by itself
 * is no error here, since what it wrote until then may be of use: `report` says so.
 */
export async function* run(
  source: StagedFile,
  job: FfmpegCommand,
  report: DecoderLog,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  await using child = await start(source, [job], report, signal)
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) break
    if (job.showsProgress)
      await child.withStallTimeout(() => Promise.race([report.started, child.exited]))
    yield chunk
  }
  report.failed = (await child.exitCode()) !== 0
}

/** Starts one ffmpeg that does every job, at most one for each of `OUTPUT_FDS`. */
export async function start(
  source: StagedFile,
  jobs: readonly FfmpegCommand[],
  report: DecoderLog,
  signal?: AbortSignal,
): Promise<FfmpegProcess> {
  const program = await findFfmpeg()
  signal?.throwIfAborted()
  const stallMs = Math.min(...jobs.map((job) => job.stallMs ?? MEDIA_LIMITS.stallMs))
  return await FfmpegProcess.start(program, argumentsOf(source, jobs), {
    limits: source.limits,
    stallMs,
    onLine: (line) => report.onLine(line),
    signal,
  })
}

/** The command line, without the program. */
export function argumentsOf(
  { url, options = [] }: Pick<StagedFile, 'url' | 'options'>,
  jobs: readonly FfmpegCommand[],
): readonly string[] {
  const largest = Math.min(...jobs.map((job) => job.largestAllocation))
  const command = ffmpeg(url).inputOptions('-nostdin', '-v', 'error', '-max_alloc', String(largest))
  const threads = Math.max(...jobs.map((job) => job.threads ?? 1))
  command.inputOptions(
    '-threads',
    String(threads),
    '-filter_threads',
    '1',
    ...INPUT_GUARDS,
    ...options,
    ...jobs.flatMap((job) => job.input),
  )
  for (const [i, job] of jobs.entries()) {
    command.output(`pipe:${OUTPUT_FDS[i]}`).outputOptions('-sn', '-dn', ...job.output)
  }
  return command._getArguments()
}
