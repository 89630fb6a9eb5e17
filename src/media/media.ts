import type { Span } from '../domain/clip.js'
import type { Modality } from '../domain/modality.js'
import type { MediaSegment, SegmentFormat } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { convertToApng } from './decode/animation.js'
import { decodeStill } from './decode/still.js'
import { openStreams } from './decode/streams.js'
import { type DecodeSummary, noContent, summarizeDecode } from './decode/summarize.js'
import type { Window } from './decode/timing.js'
import { tooLong } from './decode/too-long.js'
import { zipSegments } from './decode/zip-segments.js'
import { keyGap } from './probe/key-gap.js'
import { measureHeader } from './probe/measure-header.js'
import type { MediaHeader, VideoTrack } from './probe/media-header.js'
import { readHeader } from './probe/read-header.js'
import { sniff } from './probe/sniff.js'
import { DecoderLog } from './process/decoder-log.js'
import type { DecoderSlot } from './process/decoder-pool.js'
import { MEDIA_LIMITS } from './staging/limits.js'
import { type StagedFile, stageFile } from './staging/staged-file.js'

/** A file with fewer bytes per second of its stated length is not that long. Speech has more. */
const MIN_BYTES_PER_SECOND = 250

/** How a media file is opened. */
export interface MediaOptions {
  readonly range?: Span | undefined // seconds of the clip; all of it by default
  readonly only?: Modality | undefined // the other modality is not decoded
  readonly longestSeconds?: number | undefined // MEDIA_LIMITS.clipSeconds by default
  readonly slot?: DecoderSlot | undefined // permit whose limits apply to the decoders
  readonly signal?: AbortSignal | undefined
}

/** A media file that has been recognised but not decoded. */
export interface Media {
  readonly statedSeconds: number | null // stated by the header, for progress and limits only
  /**
   * Decodes and yields the segments in order. Each has the format's length, except the last. A tail
   * shorter than a second is dropped, unless it is the whole clip. An early return stops ffmpeg.
   */
  segments(): AsyncGenerator<MediaSegment, void>
  readonly outcome: DecodeSummary // known once segments() has ended
}

/**
 * Recognises a media file by its content. The file must stay open until the segments have been
 * read. Throws the errors of `sniff` and `readHeader`, MEDIA_NO_CONTENT, MEDIA_TOO_SMALL,
 * MEDIA_TOO_LONG or MODALITY_NOT_SERVED.
 */
export async function openMedia(
  file: OpenedFile,
  format: SegmentFormat,
  options: MediaOptions = {},
): Promise<Media> {
  await sniff(file)
  const header = await readHeader(file, options)
  const usable = { ...header, ...largeEnough(header, file.name) }
  assertServed(usable, file.name, format)
  if (options.range === undefined) assertLength(file, header, options.longestSeconds)
  return new MediaFile(file, format, usable, options)
}

/** Returns the video tracks that are large enough to show anything. Throws MEDIA_TOO_SMALL. */
function largeEnough(
  { video, otherVideos, audioTracks }: MediaHeader,
  name: string,
): Pick<MediaHeader, 'video' | 'otherVideos'> {
  if (video === null && audioTracks.length === 0) throw noContent(name)
  const side = ({ width, height }: VideoTrack) => (width === 0 ? Infinity : Math.min(width, height))
  const videos = video === null ? [] : [video, ...otherVideos]
  const [first = null, ...others] = videos.filter(
    (track) => side(track) >= MEDIA_LIMITS.pictureSidePixels,
  )
  if (first !== null || audioTracks.length > 0) return { video: first, otherVideos: others }
  const detail =
    `Expected video or an image of at least ${MEDIA_LIMITS.pictureSidePixels} pixels a side, ` +
    `got ${Math.max(...videos.map(side))}: ${name}`
  throw new AppError('MEDIA_TOO_SMALL', detail)
}

/** Throws MODALITY_NOT_SERVED if the file has no modality that the bundle encodes. */
function assertServed(
  { video, audioTracks }: MediaHeader,
  name: string,
  { modalities }: SegmentFormat,
): void {
  const has = { audio: audioTracks.length > 0, visual: video !== null }
  if (modalities.some((modality) => has[modality])) return
  const detail =
    `Expected a file with ${modalities.join(' or ')} content, ` +
    `which is all that the bundle in use encodes: ${name}`
  throw new AppError('MODALITY_NOT_SERVED', detail)
}

/** Throws MEDIA_TOO_LONG by the stated length, if the file has enough bytes for it. */
function assertLength(
  { bytes }: OpenedFile,
  { seconds }: MediaHeader,
  maxSeconds: number = MEDIA_LIMITS.clipSeconds,
): void {
  if (seconds === null || seconds <= maxSeconds || bytes / MIN_BYTES_PER_SECOND <= maxSeconds)
    return
  throw tooLong(maxSeconds)
}

class MediaFile implements Media {
  readonly statedSeconds: number | null
  #outcome: DecodeSummary | null = null

  constructor(
    private readonly file: OpenedFile,
    private readonly format: SegmentFormat,
    private readonly header: MediaHeader,
    private readonly options: MediaOptions,
  ) {
    this.statedSeconds = header.isStill ? 0 : header.seconds
  }

  get outcome(): DecodeSummary {
    if (this.#outcome === null)
      throw new Error('Expected segments() to have ended before the outcome is read')
    return this.#outcome
  }

  async *segments(): AsyncGenerator<MediaSegment, void> {
    const { slot, signal } = this.options
    await slot?.enlargeFor(this.header, signal)
    await using staged = await stageFile(this.file, slot?.limits)
    this.#outcome = yield* this.#decode(staged)
  }

  async *#decode(staged: StagedFile): AsyncGenerator<MediaSegment, DecodeSummary> {
    const { range, only, signal: outer } = this.options
    const { format } = this
    const stop = new AbortController()
    const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
    const window: Window = range ?? { start: 0, end: Infinity }
    const logs = { audio: new DecoderLog(staged), video: new DecoderLog(staged) }

    const { animation } = this.header
    const decodable = animation
      ? await convertToApng(staged, animation, { log: logs.video, signal })
      : staged
    const { source, header: measured } = await measureHeader(decodable, this.header, signal)
    const header = await this.#requestedStreams(source, measured, signal)
    if (header.video !== null && header.isStill)
      return yield* decodeStill(source, header.video, format, { log: logs.video, signal })
    const streams = openStreams({ source, header, format, window, logs, signal })
    const summaries = yield* zipSegments({ ...streams, stop }, window, format.seconds)
    return summarizeDecode({
      ...{ source, header: measured, summaries, logs, window },
      mix: format.audio.channels,
      isOneModality: only !== undefined,
    })
  }

  /**
   * Returns the header without the streams that are not requested, and with the key gap of the
   * video.
   */
  async #requestedStreams(
    source: StagedFile,
    header: MediaHeader,
    signal: AbortSignal,
  ): Promise<MediaHeader> {
    const { video, otherVideos, audioTracks, isStill } = header
    const audioHeader = { ...header, audioTracks: this.#isRequested('audio') ? audioTracks : [] }
    if (!this.#isRequested('visual')) return { ...audioHeader, video: null, otherVideos: [] }
    if (video === null || isStill) return { ...audioHeader, video, otherVideos }
    const withGap = { ...video, keyGap: await keyGap(source, video, signal) }
    return { ...audioHeader, video: withGap, otherVideos }
  }

  #isRequested(modality: Modality): boolean {
    const { only = modality } = this.options
    return only === modality && this.format.modalities.includes(modality)
  }
}
