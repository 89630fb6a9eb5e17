import type { SegmentFormat } from '../../domain/segment-format.js'
import type { AudioTrack } from '../probe/media-header.js'
import { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg } from '../process/ffmpeg.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import { audioFilters, placeSamples } from './timed-samples.js'
import { audioOrigin, audioTimes, canSeek, clockOptions, type Timing } from './timing.js'
import { tooLong } from './too-long.js'

export const LEAST_TAIL_SECONDS = 1
export const SILENT_PEAK = 1e-4 // -80 dBFS
const LARGEST_ALLOCATION = 128 * 1024 ** 2

/** The sound of one segment: null where it is silent. */
export interface AudioChunk {
  readonly seconds: number
  readonly samples: Float32Array | null
}

export interface AudioSummary {
  readonly seconds: number // measured, the dropped tail included
  readonly audible: boolean
  readonly variant: AudioVariant | null // as it was heard
}

export const NO_AUDIO: AudioSummary = { seconds: 0, audible: false, variant: null }

/** One way to hear a file: a track, and what becomes of its channels. */
export interface AudioVariant {
  readonly track: AudioTrack
  readonly channels: Mix
}

/**
 * How channels become one. `mean`: as ffmpeg mixes the channels of a layout, which leaves the LFE out.
 * `first`: the first alone. `all`: the mean of every channel, whatever it is for.
 */
export type Mix = SegmentFormat['audio']['channels'] | 'all'

export interface AudioOptions {
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly log: DecoderLog
}

/**
 * The sound in parts of the segment's length, out of the bytes of `soundJob`; a tail shorter than a second is no part,
 * unless it is all.
 */
export async function* audioChunks(
  chunks: AsyncIterable<Buffer>,
  voice: AudioVariant,
  options: AudioOptions,
): AsyncGenerator<AudioChunk, AudioSummary> {
  const { format, timing } = options
  const rate = format.audio.sampleRateHz
  const length = Math.round(format.seconds * rate)
  let total = 0
  let audible = false
  for await (const samples of blocks(placedSamples(chunks, voice, options), length)) {
    const first = total === 0
    total += samples.length
    if (timing.window.start + total / rate > MEDIA_LIMITS.clipSeconds) throw tooLong()
    const seconds = samples.length / rate
    if (!first && seconds < LEAST_TAIL_SECONDS) break
    const loud = clampSamples(samples) >= SILENT_PEAK && !isConstant(samples, rate)
    audible ||= loud
    yield { seconds, samples: loud ? samples.subarray(0, format.audio.samples) : null }
  }
  return { seconds: total / rate, audible, variant: voice }
}

/** Whether anything can be heard; reads no further than that. */
export async function isAudible(
  source: StagedFile,
  voice: AudioVariant,
  {
    format,
    timing,
    signal,
  }: Omit<AudioOptions, 'log'> & { readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const report = new DecoderLog(source)
  const chunks = runFfmpeg(source, audioCommand(voice, format, timing), report, signal)
  const samples = placedSamples(chunks, voice, { format, timing, log: report })
  for await (const block of blocks(samples, format.audio.sampleRateHz)) {
    if (clampSamples(block) >= SILENT_PEAK && !isConstant(block, format.audio.sampleRateHz))
      return true
  }
  return false
}

/** Raw samples with their timestamps as bytes, for `placeSamples`. */
export function audioCommand(
  { track, channels }: AudioVariant,
  { audio }: SegmentFormat,
  timing: Timing,
): FfmpegCommand {
  const mix = mixFilter(channels, track)
  const filters = audioFilters(audio.sampleRateHz, track.spacing, audioOrigin(timing))
  const seek = canSeek(timing) ? ['-ss', ffmpegSeconds(timing.window.start)] : []
  return {
    input: [...clockOptions(timing), ...seek],
    output: [
      ...['-map', `0:${track.index}`, '-af', `${mix}${filters}`],
      ...['-ar', String(audio.sampleRateHz), '-c:a', 'pcm_f32le', '-f', 'f32le'],
      ...['-flush_packets', '0'], // in blocks of 32 KiB, not a few hundred samples at a time
    ],
    maxAllocationBytes: LARGEST_ALLOCATION,
  }
}

function mixFilter(mix: Mix, { channels }: AudioTrack): string {
  if (mix === 'mean') return ''
  if (mix === 'first') return 'pan=mono|c0=c0,'
  const terms = Array.from({ length: channels }, (_, i) => `${(1 / channels).toFixed(6)}*c${i}`)
  return `pan=mono|c0=${terms.join('+')},`
}

/** The samples in their place; a timestamp beyond what a clip may last is not believed. */
function placedSamples(
  chunks: AsyncIterable<Buffer>,
  { track }: AudioVariant,
  { format, timing, log }: AudioOptions,
): AsyncGenerator<Float32Array, void> {
  const { window } = timing
  const lead = track.startsAt - window.start
  return placeSamples(chunks, {
    spacing: track.spacing,
    rateHz: format.audio.sampleRateHz,
    startsAt: canSeek(timing) ? Math.max(0, lead) : lead,
    seconds: window.end - window.start,
    longest: MEDIA_LIMITS.clipSeconds - window.start,
    toSeconds: audioTimes(timing, track.index),
    refuse: (seconds) =>
      log.addError(`A timestamp of ${seconds} s in the sound is beyond any clip`),
  })
}

/** Blocks of `length` samples; the last may be shorter. */
async function* blocks(
  runs: AsyncIterable<Float32Array>,
  length: number,
): AsyncGenerator<Float32Array> {
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
function clampSamples(samples: Float32Array): number {
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
