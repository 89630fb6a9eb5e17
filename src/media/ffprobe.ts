import { LIMITS } from '../config.js'
import { findFfprobe } from './executables.js'
import { FfmpegProcess } from './ffmpeg-process.js'
import { INPUT_GUARDS } from './formats.js'
import type { Source } from './source.js'

const LONGEST_ANSWER_BYTES = 16 * 1024 ** 2
const MOST_WORDS = 1000 // lines

export interface Said {
  readonly json: unknown // null where ffprobe had no answer
  readonly stderr: string
}

/** Asks ffprobe. */
export async function ffprobe(
  { url, limits }: Source,
  questions: readonly string[],
  signal?: AbortSignal,
): Promise<Said> {
  const args = ['-v', 'warning', ...INPUT_GUARDS, ...questions, '-print_format', 'json', '-i', url]
  const program = await findFfprobe()
  signal?.throwIfAborted()
  const words: string[] = []
  const hear = (line: string) => words.length < MOST_WORDS && words.push(line)
  await using child = await FfmpegProcess.start(program, args, { limits, stallMs: LIMITS.probeMs, hear, signal })
  const answer = await answerOf(child)
  if ((await child.exitCode()) === null) {
    throw new Error('ffprobe was killed by another: that says nothing of the file')
  }
  return { json: parseJson(answer), stderr: words.join('\n') }
}

/** What it writes, as far as an answer can go: one that is longer is none. */
async function answerOf(child: FfmpegProcess): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for (;;) {
    const chunk = await child.patiently(() => child.outputs[0].next())
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
