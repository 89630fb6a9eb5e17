import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import { findFfprobe } from './executables.js'
import { FfmpegProcess, type ProcessOptions } from './ffmpeg-process.js'
import { INPUT_GUARDS } from './formats.js'

const MAX_OUTPUT_BYTES = 16 * 1024 ** 2
const MAX_STDERR_LINES = 1000

interface FfprobeOutput {
  readonly json: unknown // null if ffprobe wrote no valid JSON
  readonly stderr: string
}

/** Runs ffprobe and returns its JSON and its warnings. */
export async function ffprobe(
  source: StagedFile,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<FfprobeOutput> {
  const lines: string[] = []
  const onLine = (line: string) => lines.length < MAX_STDERR_LINES && lines.push(line)
  await using child = await start(source, ['-v', 'warning', ...args, '-print_format', 'json'], {
    onLine,
    signal,
  })
  const text = await readAll(child)
  await waitForExit(child)
  return { json: parseJson(text), stderr: lines.join('\n') }
}

/** Runs ffprobe and yields the lines of its output, of any length, as they arrive. */
export async function* ffprobeLines(
  source: StagedFile,
  args: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<string, void> {
  await using child = await start(source, ['-v', 'error', ...args], { onLine: () => {}, signal })
  let rest = ''
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) break
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  await waitForExit(child)
}

async function start(
  { url, limits, options = [] }: StagedFile,
  args: readonly string[],
  { onLine, signal }: Pick<ProcessOptions, 'onLine' | 'signal'>,
): Promise<FfmpegProcess> {
  const program = await findFfprobe()
  signal?.throwIfAborted()
  return FfmpegProcess.start(program, [...args, ...INPUT_GUARDS, ...options, '-i', url], {
    limits,
    stallMs: MEDIA_LIMITS.probeMs,
    onLine,
    signal,
  })
}

/**
 * Waits for the exit. Throws if another process killed ffprobe, which says nothing about the file.
 */
async function waitForExit(child: FfmpegProcess): Promise<void> {
  if ((await child.exitCode()) !== null) return
  throw new Error('Expected ffprobe to exit by itself, but another process killed it: try again')
}

/** Returns the output up to MAX_OUTPUT_BYTES. Reads and drops the rest. */
async function readAll(child: FfmpegProcess): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) return Buffer.concat(chunks).toString()
    bytes += chunk.length
    if (bytes <= MAX_OUTPUT_BYTES) chunks.push(chunk)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
