import { LIMITS } from '../config.js'
import type { SegmentFormat } from '../domain.js'
import { AppError } from '../errors.js'
import { type Job, run } from './ffmpeg.js'
import type { Track } from './probe.js'
import { Report } from './report.js'
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
  readonly voice: Voice | null // as it was heard
}

export const NOTHING_HEARD: SoundSummary = { seconds: 0, audible: false, voice: null }

/** One way to hear a file: a track, and what becomes of its channels. */
export interface Voice {
  readonly track: Track
  readonly channels: SegmentFormat['audio']['channels']
}

/**
 * The sound in parts of the segment's length, out of the bytes of `soundJob`; a tail shorter than a second is no part,
 * unless it is all.
 */
export async function* soundParts(
  chunks: AsyncIterable<Buffer>,
  voice: Voice,
  format: SegmentFormat,
  window: Window,
): AsyncGenerator<SoundPart, SoundSummary> {
  const rate = format.audio.sampleRateHz
  const length = Math.round(format.seconds * rate)
  let total = 0
  let audible = false
  for await (const samples of blocks(placed(chunks, voice.track, format, window), length)) {
    const first = total === 0
    total += samples.length
    if (window.start + total / rate > LIMITS.clipSeconds) throw tooLong()
    const seconds = samples.length / rate
    if (!first && seconds < LEAST_TAIL_SECONDS) break
    const loud = clip(samples) >= SILENT_PEAK
    audible ||= loud
    yield { seconds, samples: loud ? samples.subarray(0, format.audio.samples) : null }
  }
  return { seconds: total / rate, audible, voice }
}

/** Whether anything can be heard; reads no further than that. */
export async function isAudible(
  source: Source,
  voice: Voice,
  format: SegmentFormat,
  { window, signal }: { readonly window: Window; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const chunks = run(source, soundJob(voice, format, window), new Report(source), signal)
  for await (const samples of blocks(placed(chunks, voice.track, format, window), format.audio.sampleRateHz)) {
    if (clip(samples) >= SILENT_PEAK) return true
  }
  return false
}

export function tooLong(longestSeconds: number = LIMITS.clipSeconds): AppError {
  const isHours = longestSeconds >= 3600
  const longest = isHours ? `${longestSeconds / 3600} h` : `${longestSeconds} s`
  const detail = `Expected at most ${longest} of media, got more${isHours ? '' : ': choose a range of it'}.`
  return new AppError('MEDIA_TOO_LONG', detail)
}

/** Raw samples as bytes, as the model wants them. */
export function soundJob({ track, channels }: Voice, { audio }: SegmentFormat, { start }: Window): Job {
  const mix = channels === 'first' ? 'pan=mono|c0=c0,' : ''
  return {
    input: start > 0 ? ['-ss', String(start)] : [],
    output: [
      ...['-map', `0:${track.index}`, '-af', `${mix}aresample=${audio.sampleRateHz}:async=1:rematrix_maxval=1`],
      ...['-ac', '1', '-ar', String(audio.sampleRateHz), '-c:a', 'pcm_f32le', '-f', 'f32le'],
      ...['-flush_packets', '0'], // in blocks of 32 KiB, not a few hundred samples at a time
    ],
    largestAllocation: LARGEST_ALLOCATION,
  }
}

/** The samples in their place: where the track begins after the window's start, zeros lead up to it. */
async function* placed(
  chunks: AsyncIterable<Buffer>,
  { startsAt }: Track,
  { audio }: SegmentFormat,
  { start, end }: Window,
): AsyncGenerator<Buffer> {
  const bytesAt = (seconds: number) => Math.round(seconds * audio.sampleRateHz) * Float32Array.BYTES_PER_ELEMENT
  let left = bytesAt(end - start)
  let lead = Math.min(left, bytesAt(Math.max(0, startsAt - start)))
  // The lead is not ffmpeg's (first_pts): it would come again wherever the track changes its channels midway.
  for await (const chunk of chunks) {
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
  let [low, high] = [0, 0]
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] as number
    if (sample >= low && sample <= high) continue // nearly every one
    const held = sample >= -1 && sample <= 1 ? sample : sample > 1 ? 1 : sample < -1 ? -1 : 0
    samples[i] = held
    low = Math.min(low, held)
    high = Math.max(high, held)
  }
  return Math.max(high, -low)
}
