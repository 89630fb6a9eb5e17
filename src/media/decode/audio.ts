import type { SegmentFormat } from '../../domain/segment-format.js'
import type { AudioTrack } from '../probe/media-header.js'
import { DecoderLog } from '../process/decoder-log.js'
import { type FfmpegCommand, runFfmpeg } from '../process/ffmpeg.js'
import { ffmpegSeconds } from '../process/ffmpeg-seconds.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { StagedFile } from '../staging/staged-file.js'
import { blocksOf } from './blocks.js'
import { audioFilters, placeSamples } from './timed-samples.js'
import { audioOrigin, audioTimes, canSeek, clockOptions, type Timing } from './timing.js'
import { tooLong } from './too-long.js'

/** A shorter tail is dropped, unless it is the whole clip. */
export const MIN_TAIL_SECONDS = 1
const SILENT_PEAK = 1e-4 // -80 dBFS
const MAX_ALLOCATION_BYTES = 128 * 1024 ** 2
const EDGE_SECONDS = 0.02
const MIN_DC_OFFSET = 10 * SILENT_PEAK

/** The audio of one segment. */
export interface AudioChunk {
  readonly seconds: number
  readonly samples: Float32Array | null // mono in [-1, 1]; null if silent
}

/** What decoding the audio of a file measured. */
export interface AudioSummary {
  readonly seconds: number // measured, with the dropped tail
  readonly audible: boolean
  readonly variant: AudioVariant | null // the one that was decoded
}

/** The summary of a file without audio. */
export const NO_AUDIO: AudioSummary = { seconds: 0, audible: false, variant: null }

/** A track, and how its channels are mixed. */
export interface AudioVariant {
  readonly track: AudioTrack
  readonly channels: Mix
}

/**
 * How channels become one. `mean`: as ffmpeg mixes the channels of a layout, without the LFE.
 * `first`: the first channel only. `all`: the mean of every channel, regardless of the layout.
 */
export type Mix = SegmentFormat['audio']['channels'] | 'all'

/** How the audio of a file is decoded. */
interface AudioOptions {
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly log: DecoderLog
}

/**
 * Yields audio in chunks of the segment's length, from the output of `audioCommand`. Drops a tail
 * shorter than MIN_TAIL_SECONDS, unless it is the whole clip. Throws MEDIA_TOO_LONG.
 */
export async function* audioChunks(
  chunks: AsyncIterable<Buffer>,
  variant: AudioVariant,
  options: AudioOptions,
): AsyncGenerator<AudioChunk, AudioSummary> {
  const { format, timing } = options
  const rate = format.audio.sampleRateHz
  const length = Math.round(format.seconds * rate)
  let total = 0
  let audible = false
  const placed = placedSamples(chunks, variant, options)
  for await (const samples of blocksOf(placed, () => new Float32Array(length))) {
    const isFirst = total === 0
    total += samples.length
    if (timing.window.start + total / rate > MEDIA_LIMITS.clipSeconds) throw tooLong()
    const seconds = samples.length / rate
    if (!isFirst && seconds < MIN_TAIL_SECONDS) break
    const isLoud = clampSamples(samples) >= SILENT_PEAK && !isConstant(samples, rate)
    audible ||= isLoud
    yield { seconds, samples: isLoud ? samples.subarray(0, format.audio.samples) : null }
  }
  return { seconds: total / rate, audible, variant }
}

/** Decodes a variant up to its first audible second, and returns whether there is one. */
export async function isAudible(
  source: StagedFile,
  variant: AudioVariant,
  {
    format,
    timing,
    signal,
  }: Omit<AudioOptions, 'log'> & { readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const log = new DecoderLog(source)
  const rate = format.audio.sampleRateHz
  const chunks = runFfmpeg(source, audioCommand(variant, format, timing), log, signal)
  const samples = placedSamples(chunks, variant, { format, timing, log })
  for await (const block of blocksOf(samples, () => new Float32Array(rate)))
    if (clampSamples(block) >= SILENT_PEAK && !isConstant(block, rate)) return true
  return false
}

/** Returns the command that decodes a variant to raw samples and timestamps, for `placeSamples`. */
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
      ...['-flush_packets', '0'], // writes 32 KiB at a time, not a few hundred samples
    ],
    maxAllocationBytes: MAX_ALLOCATION_BYTES,
  }
}

function mixFilter(mix: Mix, { channels }: AudioTrack): string {
  if (mix === 'mean') return ''
  if (mix === 'first') return 'pan=mono|c0=c0,'
  const terms = Array.from({ length: channels }, (_, i) => `${(1 / channels).toFixed(6)}*c${i}`)
  return `pan=mono|c0=${terms.join('+')},`
}

/** Yields the samples of the window. Rejects timestamps beyond the maximum length of a clip. */
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
    maxSeconds: MEDIA_LIMITS.clipSeconds - window.start,
    toSeconds: audioTimes(timing, track.index),
    onRejected: (seconds) =>
      log.addError(
        `Expected audio timestamps of at most ${MEDIA_LIMITS.clipSeconds} s, got ${seconds} s`,
      ),
  })
}

/**
 * Returns whether samples are a DC offset and nothing else, which is inaudible. Ignores the edges,
 * where the resampler turns the offset into a pulse.
 */
function isConstant(samples: Float32Array, rateHz: number): boolean {
  const edge = Math.min(Math.round(EDGE_SECONDS * rateHz), Math.floor(samples.length / 4))
  let [low, high, sum] = [Infinity, -Infinity, 0]
  for (let i = edge; i < samples.length - edge; i++) {
    const sample = samples[i] as number
    if (sample < low) low = sample
    if (sample > high) high = sample
    if (high - low >= 2 * SILENT_PEAK) return false // most blocks return after a few samples
    sum += sample
  }
  const mean = sum / (samples.length - 2 * edge)
  return Math.abs(mean) >= MIN_DC_OFFSET
}

/**
 * Clamps samples to [-1, 1] in place and returns the peak. Decoders overshoot, and hostile files
 * contain NaN, which becomes 0.
 */
function clampSamples(samples: Float32Array): number {
  let [low, high] = [0, 0]
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] as number
    if (sample >= low && sample <= high) continue // nearly every sample
    const clamped = sample >= -1 && sample <= 1 ? sample : sample > 1 ? 1 : sample < -1 ? -1 : 0
    samples[i] = clamped
    low = Math.min(low, clamped)
    high = Math.max(high, clamped)
  }
  return Math.max(high, -low)
}
