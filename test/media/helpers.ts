import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { promisify } from 'node:util'
import type { MediaSegment, SegmentFormat } from '../../src/domain/segment-format.js'
import type { DecodeSummary } from '../../src/media/decode/summarize.js'
import { type MediaOptions, openMedia } from '../../src/media/media.js'
import { opened } from '../opened.js'

/** The segment format of most tests: 10 s at 16 kHz, 10 frames of 64 × 64. */
export const FORMAT: SegmentFormat = {
  seconds: 10,
  modalities: ['audio', 'visual'],
  audio: { sampleRateHz: 16_000, samples: 160_000, channels: 'mean' },
  visual: { width: 64, height: 64, resize: 'squash', framesPerSegment: 10 },
}

/** Creates a folder and removes it after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'earshot-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Creates media from `lavfi` inputs, in order, with output arguments. Returns the path. */
export async function make(
  path: string,
  inputs: readonly string[],
  output: readonly string[] = [],
): Promise<string> {
  const sources = inputs.flatMap((input) => ['-f', 'lavfi', '-i', input])
  await promisify(execFile)('ffmpeg', [
    '-v',
    'error',
    '-nostdin',
    '-y',
    ...sources,
    ...output,
    `file:${path}`,
  ])
  return path
}

/** Converts media: arguments `before` the input, then output arguments. Returns the path. */
export async function convert(
  from: string,
  path: string,
  before: readonly string[],
  output: readonly string[],
): Promise<string> {
  await promisify(execFile)('ffmpeg', [
    '-v',
    'error',
    '-nostdin',
    '-y',
    ...before,
    '-i',
    from,
    ...output,
    `file:${path}`,
  ])
  return path
}

/** All segments of a file, and the outcome. */
export interface Decoded {
  readonly segments: readonly MediaSegment[]
  readonly outcome: DecodeSummary
}

/** Decodes a whole file. */
export async function decode(
  path: string,
  format: SegmentFormat = FORMAT,
  options: MediaOptions = {},
): Promise<Decoded> {
  const media = await openMedia(await opened(path), format, options)
  const segments: MediaSegment[] = []
  for await (const segment of media.segments()) segments.push(segment)
  return { segments, outcome: media.outcome }
}

/** Returns the colour (RGB) at a place of a frame, the centre by default. */
export function colourOf(
  frame: Uint8Array,
  { visual }: SegmentFormat = FORMAT,
  x = 0.5,
  y = 0.5,
): readonly number[] {
  const at = 3 * (Math.floor(y * visual.height) * visual.width + Math.floor(x * visual.width))
  return [...frame.subarray(at, at + 3)]
}

/** Returns the name of the strongest of red, green and blue. */
export function hueOf(colour: readonly number[]): string {
  return ['red', 'green', 'blue'][colour.indexOf(Math.max(...colour))] as string
}

/** Returns the amplitude of a frequency in samples (one term of a Fourier transform). */
export function amplitudeAt(hertz: number, samples: Float32Array, rateHz: number): number {
  let real = 0
  let imaginary = 0
  samples.forEach((sample, i) => {
    real += sample * Math.cos((2 * Math.PI * hertz * i) / rateHz)
    imaginary += sample * Math.sin((2 * Math.PI * hertz * i) / rateHz)
  })
  return (2 * Math.hypot(real, imaginary)) / samples.length
}

/** Returns the largest absolute value of samples. */
export const peakOf = (samples: Float32Array): number =>
  samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)

/** Returns how many ffmpegs this process and its spawn server run. */
export async function children(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'pid=,ppid=,comm='])
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/))
  const own = new Set([String(process.pid)])
  for (const [pid = '', parent = ''] of rows) if (own.has(parent)) own.add(pid)
  return rows.filter(
    ([, parent = '', name = '']) => own.has(parent) && /ffmpeg|ffprobe|sleep/.test(name),
  ).length
}

/** Runs a function with a script as ffmpeg, or without any ffmpeg. */
export async function withFake(
  folder: string,
  script: string | null,
  action: () => Promise<void>,
): Promise<void> {
  const path = join(folder, 'fake', 'ffmpeg')
  await mkdir(join(folder, 'fake'), { recursive: true })
  if (script !== null) {
    await writeFile(path, script)
    await chmod(path, 0o755)
  }
  process.env.FFMPEG_PATH = script === null ? '/nowhere/ffmpeg' : path
  try {
    await action()
  } finally {
    delete process.env.FFMPEG_PATH
  }
}
