import { LIMITS } from '../config.js'
import type { SegmentFormat } from '../domain.js'
import { AppError } from '../errors.js'
import { run } from './ffmpeg.js'
import type { Track } from './probe.js'
import type { Report } from './report.js'
import type { Source } from './source.js'

export const LEAST_TAIL_SECONDS = 1
export const SILENT_PEAK = 1e-4 // -80 dBFS
const LARGEST_ALLOCATION = 128 * 1024 ** 2 // a gap in the sound is filled inside ffmpeg, in one block

/** Which part of the clip, in its own seconds; `end` may be infinite. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** The sound of one segment: null where it is silent. */
export interface SoundPart {
  readonly seconds: number
  readonly samples: Float32Array | null
}

export interface SoundSummary {
  readonly seconds: number // measured, the dropped tail included
  readonly audible: boolean
}

export interface SoundOptions {
  readonly window: Window
  readonly report: Report
  readonly signal?: AbortSignal | undefined
}

/** The sound track in parts of the segment's length; a tail shorter than a second is no part, unless it is all. */
export async function* soundParts(
  source: Source,
  track: Track,
  format: SegmentFormat,
  { window, report, signal }: SoundOptions,
): AsyncGenerator<SoundPart, SoundSummary> {
  const rate = format.audio.sampleRateHz
  const length = Math.round(format.seconds * rate)
  let total = 0
  let audible = false
  for await (const samples of blocks(pcm(source, track, format, { window, report, signal }), length)) {
    const first = total === 0
    total += samples.length
    if (window.start + total / rate > LIMITS.clipSeconds) throw tooLong()
    const seconds = samples.length / rate
    if (!first && seconds < LEAST_TAIL_SECONDS) break
    const loud = clip(samples) >= SILENT_PEAK
    audible ||= loud
    yield { seconds, samples: loud ? samples.subarray(0, format.audio.samples) : null }
  }
  return { seconds: total / rate, audible }
}

/** Whether anything can be heard on a track; reads no further than that. */
export async function isAudible(
  source: Source,
  track: Track,
  format: SegmentFormat,
  options: SoundOptions,
): Promise<boolean> {
  for await (const samples of blocks(pcm(source, track, format, options), format.audio.sampleRateHz)) {
    if (clip(samples) >= SILENT_PEAK) return true
  }
  return false
}

export function tooLong(): AppError {
  return new AppError('MEDIA_TOO_LONG', `Expected at most ${LIMITS.clipSeconds / 3600} h of media, got more`)
}

/** Raw samples as bytes, from the window's start on: where the track begins later, zeros lead up to it. */
async function* pcm(
  source: Source,
  track: Track,
  { audio }: SegmentFormat,
  { window, report, signal }: SoundOptions,
): AsyncGenerator<Buffer> {
  const bytesAt = (seconds: number) => Math.round(seconds * audio.sampleRateHz) * Float32Array.BYTES_PER_ELEMENT
  let left = bytesAt(window.end - window.start)
  let lead = Math.min(left, bytesAt(Math.max(0, track.startsAt - window.start)))
  // The lead is not ffmpeg's (first_pts): it would come again wherever the track changes its channels midway.
  const mix = audio.channels === 'first' ? 'pan=mono|c0=c0,' : ''
  const job = {
    input: window.start > 0 ? ['-ss', String(window.start)] : [],
    output: [
      ...['-map', `0:${track.index}`, '-af', `${mix}aresample=${audio.sampleRateHz}:async=1:rematrix_maxval=1`],
      ...['-ac', '1', '-ar', String(audio.sampleRateHz), '-c:a', 'pcm_f32le', '-f', 'f32le'],
    ],
    largestAllocation: LARGEST_ALLOCATION,
  }
  for await (const chunk of run(source, job, report, signal)) {
    for (; lead > 0; lead -= SILENCE.length) {
      yield SILENCE.subarray(0, lead)
      left -= Math.min(lead, SILENCE.length)
    }
    yield chunk.length > left ? chunk.subarray(0, left) : chunk
    left -= chunk.length
    if (left <= 0) return
  }
}

const SILENCE = Buffer.alloc(64 * 1024)

/** Blocks of `length` samples; the last may be shorter. */
async function* blocks(chunks: AsyncIterable<Buffer>, length: number): AsyncGenerator<Float32Array> {
  let block = new Float32Array(length)
  let filled = 0 // bytes
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(new Uint8Array(block.buffer), filled, from)
      from += copied
      filled += copied
      if (filled < block.byteLength) continue
      yield block
      block = new Float32Array(length)
      filled = 0
    }
  }
  const rest = Math.floor(filled / Float32Array.BYTES_PER_ELEMENT)
  if (rest > 0) yield block.subarray(0, rest)
}

/** Holds samples to [-1, 1], in place: decoders overshoot, and hostile files hold NaN. Returns the peak. */
function clip(samples: Float32Array): number {
  let peak = 0
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] as number
    const held = sample >= -1 && sample <= 1 ? sample : sample > 1 ? 1 : sample < -1 ? -1 : 0
    samples[i] = held
    peak = Math.max(peak, Math.abs(held))
  }
  return peak
}
