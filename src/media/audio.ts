import { LIMITS } from '../config.js'
import type { SegmentFormat } from '../domain.js'
import { AppError } from '../errors.js'
import { type Job, run } from './ffmpeg.js'
import { ffmpegSeconds } from './ffmpeg-seconds.js'
import type { SoundTrack } from './probe.js'
import { Report } from './report.js'
import type { Source } from './source.js'
import { placeSamples, soundFilters } from './timed-samples.js'
import { canSeek, clockOptions, soundOrigin, soundTimes, type Timing } from './timing.js'

export const LEAST_TAIL_SECONDS = 1
export const SILENT_PEAK = 1e-4 // -80 dBFS
const LARGEST_ALLOCATION = 128 * 1024 ** 2

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
  readonly track: SoundTrack
  readonly channels: Mix
}

/**
 * How channels become one. `mean`: as ffmpeg mixes the channels of a layout, which leaves the LFE out.
 * `first`: the first alone. `all`: the mean of every channel, whatever it is for.
 */
export type Mix = SegmentFormat['audio']['channels'] | 'all'

export interface SoundOptions {
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly report: Report
}

/**
 * The sound in parts of the segment's length, out of the bytes of `soundJob`; a tail shorter than a second is no part,
 * unless it is all.
 */
export async function* soundParts(
  chunks: AsyncIterable<Buffer>,
  voice: Voice,
  options: SoundOptions,
): AsyncGenerator<SoundPart, SoundSummary> {
  const { format, timing } = options
  const rate = format.audio.sampleRateHz
  const length = Math.round(format.seconds * rate)
  let total = 0
  let audible = false
  for await (const samples of blocks(placed(chunks, voice, options), length)) {
    const first = total === 0
    total += samples.length
    if (timing.window.start + total / rate > LIMITS.clipSeconds) throw tooLong()
    const seconds = samples.length / rate
    if (!first && seconds < LEAST_TAIL_SECONDS) break
    const loud = clip(samples) >= SILENT_PEAK && !isConstant(samples, rate)
    audible ||= loud
    yield { seconds, samples: loud ? samples.subarray(0, format.audio.samples) : null }
  }
  return { seconds: total / rate, audible, voice }
}

/** Whether anything can be heard; reads no further than that. */
export async function isAudible(
  source: Source,
  voice: Voice,
  { format, timing, signal }: Omit<SoundOptions, 'report'> & { readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const report = new Report(source)
  const chunks = run(source, soundJob(voice, format, timing), report, signal)
  const samples = placed(chunks, voice, { format, timing, report })
  for await (const block of blocks(samples, format.audio.sampleRateHz)) {
    if (clip(block) >= SILENT_PEAK && !isConstant(block, format.audio.sampleRateHz)) return true
  }
  return false
}

export function tooLong(longestSeconds: number = LIMITS.clipSeconds): AppError {
  const isHours = longestSeconds >= 3600
  const longest = isHours ? `${longestSeconds / 3600} h` : `${longestSeconds} s`
  const detail = `Expected at most ${longest} of media, got more${isHours ? '' : ': choose a range of it'}.`
  return new AppError('MEDIA_TOO_LONG', detail)
}

/** Raw samples with their timestamps as bytes, for `placeSamples`. */
export function soundJob({ track, channels }: Voice, { audio }: SegmentFormat, timing: Timing): Job {
  const mix = mixFilter(channels, track)
  const filters = soundFilters(audio.sampleRateHz, track.spacing, soundOrigin(timing))
  const seek = canSeek(timing) ? ['-ss', ffmpegSeconds(timing.window.start)] : []
  return {
    input: [...clockOptions(timing), ...seek],
    output: [
      ...['-map', `0:${track.index}`, '-af', `${mix}${filters}`],
      ...['-ar', String(audio.sampleRateHz), '-c:a', 'pcm_f32le', '-f', 'f32le'],
      ...['-flush_packets', '0'], // in blocks of 32 KiB, not a few hundred samples at a time
    ],
    largestAllocation: LARGEST_ALLOCATION,
  }
}

function mixFilter(mix: Mix, { channels }: SoundTrack): string {
  if (mix === 'mean') return ''
  if (mix === 'first') return 'pan=mono|c0=c0,'
  const terms = Array.from({ length: channels }, (_, i) => `${(1 / channels).toFixed(6)}*c${i}`)
  return `pan=mono|c0=${terms.join('+')},`
}

/** The samples in their place; a timestamp beyond what a clip may last is not believed. */
function placed(
  chunks: AsyncIterable<Buffer>,
  { track }: Voice,
  { format, timing, report }: SoundOptions,
): AsyncGenerator<Float32Array, void> {
  const { window } = timing
  const lead = track.startsAt - window.start
  return placeSamples(chunks, {
    spacing: track.spacing,
    rateHz: format.audio.sampleRateHz,
    startsAt: canSeek(timing) ? Math.max(0, lead) : lead,
    seconds: window.end - window.start,
    longest: LIMITS.clipSeconds - window.start,
    toSeconds: soundTimes(timing, track.index),
    refuse: (seconds) => report.complain(`A timestamp of ${seconds} s in the sound is beyond any clip`),
  })
}

/** Blocks of `length` samples; the last may be shorter. */
async function* blocks(runs: AsyncIterable<Float32Array>, length: number): AsyncGenerator<Float32Array> {
  let block = new Float32Array(length)
  let filled = 0
  for await (const samples of runs) {
    for (let from = 0; from < samples.length; ) {
      const copied = samples.subarray(from, from + length - filled)
      block.set(copied, filled)
      from += copied.length
      filled += copied.length
      if (filled < length) continue
      yield block
      block = new Float32Array(length)
      filled = 0
    }
  }
  if (filled > 0) yield block.subarray(0, filled)
}

/**
 * Whether samples hold a constant voltage and nothing else, which cannot be heard. At the edges of a
 * track the resampler makes a pulse of it: they count only where the rest is no such voltage.
 */
function isConstant(samples: Float32Array, rateHz: number): boolean {
  const edge = Math.min(Math.round(EDGE_SECONDS * rateHz), Math.floor(samples.length / 4))
  let [low, high, sum] = [Infinity, -Infinity, 0]
  for (let i = edge; i < samples.length - edge; i++) {
    const sample = samples[i] as number
    if (sample < low) low = sample
    if (sample > high) high = sample
    if (high - low >= 2 * SILENT_PEAK) return false // nearly every block, after a few samples
    sum += sample
  }
  const mean = sum / (samples.length - 2 * edge)
  return Math.abs(mean) >= LEAST_VOLTAGE
}

const EDGE_SECONDS = 0.02
const LEAST_VOLTAGE = 10 * SILENT_PEAK

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
