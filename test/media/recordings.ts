import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { amplitudeAt, colourOf, convert, type Decoded, hueOf, make } from './helpers.js'

const COLOURS = { red: 300, lime: 600, blue: 900 } as const
/** The colour of a recording. */
type Colour = keyof typeof COLOURS
/** Output arguments for MPEG-2 video and MP2 audio. */
export const MPEG2 = ['-c:v', 'mpeg2video', '-q:v', '10', '-g', '12', '-bf', '2', '-c:a', 'mp2']

const LETTERS: Readonly<Record<string, string>> = { red: 'R', green: 'G', blue: 'B' }
const TONE_HERTZ = Object.values(COLOURS)

/** Creates a recording of one colour and its tone: red has 300 Hz, lime 600 Hz and blue 900 Hz. */
export function record(
  path: string,
  colour: Colour,
  seconds: number,
  output: readonly string[],
): Promise<string> {
  const video = `color=${colour}:s=64x48:r=25:d=${seconds},drawbox=w=20:h=20:c=white:t=fill`
  return make(path, [video, `sine=f=${COLOURS[colour]}:d=${seconds}:r=48000`], output)
}

/** Concatenates recordings of `record` without encoding. Each begins `at` seconds into the file. */
export async function splice(
  path: string,
  parts: readonly (readonly [path: string, at: number])[],
  output: readonly string[] = [],
): Promise<string> {
  const lines = parts.map(([part, at], i) => {
    const next = parts[i + 1]
    return `file '${part}'\n${next ? `duration ${next[1] - at}\n` : ''}`
  })
  const list = `${path}.txt`
  await writeFile(list, lines.join(''))
  return convert(list, path, ['-f', 'concat', '-safe', '0'], ['-c', 'copy', ...output])
}

/** Runs ffmpeg with any arguments. */
export async function ffmpeg(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args])
}

/** Returns one character per second: 3, 6 or 9 for 300, 600 or 900 Hz, and a dot for silence. */
export function tonesOf({ segments }: Pick<Decoded, 'segments'>): string {
  const letters = segments.flatMap(({ samples, start, end }) => {
    const seconds = Array.from({ length: Math.round(end - start) }, (_, i) =>
      samples?.subarray(i * 16_000, (i + 1) * 16_000),
    )
    return seconds.map((second) => toneOf(second ?? new Float32Array(0)))
  })
  return letters.join('')
}

function toneOf(samples: Float32Array): string {
  const loud = TONE_HERTZ.find(
    (hertz) => samples.length > 0 && amplitudeAt(hertz, samples, 16_000) > 0.01,
  )
  return loud === undefined ? '.' : String(loud / 100)
}

/** Returns one string per segment, with a letter per frame: R, G or B. */
export function huesOf({ segments }: Pick<Decoded, 'segments'>): string[] {
  return segments.map(({ frames }) =>
    frames.map((frame) => LETTERS[hueOf(colourOf(frame))]).join(''),
  )
}
