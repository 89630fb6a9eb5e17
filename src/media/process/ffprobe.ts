import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import { findFfprobe } from './executables.js'
import { FfmpegProcess, type ProcessOptions } from './ffmpeg-process.js'
import { INPUT_GUARDS } from './formats.js'

const LONGEST_ANSWER_BYTES = 16 * 1024 ** 2
const MOST_WORDS = 1000 // lines

export interface Said {
  readonly json: unknown // null where ffprobe had no answer
  readonly stderr: string
}

/** Asks ffprobe. */
export async function ffprobe(
  source: StagedFile,
  questions: readonly string[],
  signal?: AbortSignal,
): Promise<Said> {
  const words: string[] = []
  const hear = (line: string) => words.length < MOST_WORDS && words.push(line)
  await using child = await start(
    source,
    ['-v', 'warning', ...questions, '-print_format', 'json'],
    { onLine: hear, signal },
  )
  const answer = await answerOf(child)
  await expectEnd(child)
  return { json: parseJson(answer), stderr: words.join('\n') }
}

/** Yields the lines of an answer of any length, while ffprobe writes it. */
export async function* ffprobeLines(
  source: StagedFile,
  questions: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<string, void> {
  await using child = await start(source, ['-v', 'error', ...questions], {
    onLine: () => {},
    signal,
  })
  let rest = ''
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) break
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  await expectEnd(child)
}

async function start(
  { url, limits, options = [] }: StagedFile,
  args: readonly string[],
  { onLine, signal }: Pick<ProcessOptions, 'onLine' | 'signal'>,
): Promise<FfmpegProcess> {
  const program = await findFfprobe()
  signal?.throwIfAborted()
  const stallMs = MEDIA_LIMITS.probeMs
  return FfmpegProcess.start(program, [...args, ...INPUT_GUARDS, ...options, '-i', url], {
    limits,
    stallMs,
    onLine,
    signal,
  })
}

async function expectEnd(child: FfmpegProcess): Promise<void> {
  if ((await child.exitCode()) !== null) return
  throw new Error('ffprobe was killed by another: that says nothing of the file')
}

/** What it writes, as far as an answer can go: one that is longer is none. */
async function answerOf(child: FfmpegProcess): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for (;;) {
    const chunk = await child.withStallTimeout(() => child.outputs[0].next())
    if (chunk === null) return Buffer.concat(chunks).toString()
    bytes += chunk.length
    if (bytes <= LONGEST_ANSWER_BYTES) chunks.push(chunk)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
