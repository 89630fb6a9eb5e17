import type { Span } from '../domain/clip.js'
import type { Modality } from '../domain/modality.js'
import type { MediaSegment, SegmentFormat } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { asApng } from './decode/animation.js'
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

export type { DecodeSummary as DecodeOutcome } from './decode/summarize.js'

export interface MediaOptions {
  readonly range?: Span | undefined
  readonly only?: Modality | undefined // the other half is not decoded
  readonly longestSeconds?: number | undefined // more is MEDIA_TOO_LONG; MEDIA_LIMITS.clipSeconds by default
  readonly slot?: DecoderSlot | undefined // of the budget of decoders
  readonly signal?: AbortSignal | undefined
}

export type MediaKind = 'video' | 'sound' | 'picture'

/** A media file, recognised and not yet decoded. */
export interface Media {
  readonly kind: MediaKind // what the header promises
  readonly statedSeconds: number | null // the header's claim, for progress and limits only
  /**
   * Segments in order, each of the format's length but the last. A tail shorter than a second is no segment, unless it
   * is all there is. Closing the generator early stops ffmpeg.
   */
  segments(): AsyncGenerator<MediaSegment, void>
  readonly outcome: DecodeSummary // known once segments() has ended
}

/**
 * Recognises a file by its content and refuses what is no media, or none that Earshot opens. The file
 * must stay open until the segments have been read.
 */
export async function openMedia(
  file: OpenedFile,
  format: SegmentFormat,
  options: MediaOptions = {},
): Promise<Media> {
  await sniff(file)
  const header = await readHeader(file, options)
  const usable = { ...header, ...largeEnough(header, file.name) }
  refuseUnserved(usable, file.name, format)
  if (options.range === undefined) refuseTooLong(file, header, options.longestSeconds)
  return new MediaFile(file, format, usable, options)
}

/** The picture tracks without those that are too small to show anything. */
function largeEnough(
  { video, otherVideos, audioTracks }: MediaHeader,
  name: string,
): Pick<MediaHeader, 'video' | 'otherVideos'> {
  if (video === null && audioTracks.length === 0) throw noContent(name)
  const side = ({ width, height }: VideoTrack) => (width === 0 ? Infinity : Math.min(width, height))
  const pictures = video === null ? [] : [video, ...otherVideos]
  const [first = null, ...others] = pictures.filter(
    (track) => side(track) >= MEDIA_LIMITS.pictureSidePixels,
  )
  if (first !== null || audioTracks.length > 0) return { video: first, otherVideos: others }
  const detail = `Expected a picture of at least ${MEDIA_LIMITS.pictureSidePixels} pixels a side, got ${Math.max(...pictures.map(side))}: ${name}`
  throw new AppError('MEDIA_TOO_SMALL', detail)
}

function refuseUnserved(
  { video, audioTracks }: MediaHeader,
  name: string,
  { modalities }: SegmentFormat,
): void {
  const has = { audio: audioTracks.length > 0, visual: video !== null }
  if (modalities.some((modality) => has[modality])) return
  const detail = `Expected a file with ${modalities.join(' or ')} content, all that the bundle in use takes: ${name}`
  throw new AppError('MODALITY_NOT_SERVED', detail)
}

/** A header's length is believed where the file has bytes enough for it: 250 a second is less than any speech. */
function refuseTooLong(
  { bytes }: OpenedFile,
  { seconds }: MediaHeader,
  longestSeconds: number = MEDIA_LIMITS.clipSeconds,
): void {
  if (seconds === null || seconds <= longestSeconds || bytes / 250 <= longestSeconds) return
  throw tooLong(longestSeconds)
}

class MediaFile implements Media {
  readonly kind: MediaKind
  readonly statedSeconds: number | null
  #outcome: DecodeSummary | null = null

  constructor(
    private readonly file: OpenedFile,
    private readonly format: SegmentFormat,
    private readonly header: MediaHeader,
    private readonly options: MediaOptions,
  ) {
    this.kind = header.isStill ? 'picture' : header.video !== null ? 'video' : 'sound'
    this.statedSeconds = header.isStill ? 0 : header.seconds
  }

  get outcome(): DecodeSummary {
    if (this.#outcome === null) throw new Error('The outcome is known once segments() has ended')
    return this.#outcome
  }

  async *segments(): AsyncGenerator<MediaSegment, void> {
    const { slot, signal } = this.options
    await slot?.enlargeFor(this.header, signal)
    await using source = await stageFile(this.file, slot?.limits)
    this.#outcome = yield* this.#decode(source)
  }

  async *#decode(file: StagedFile): AsyncGenerator<MediaSegment, DecodeSummary> {
    const { range, only, signal: outer } = this.options
    const stop = new AbortController()
    const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
    const window: Window = range ?? { start: 0, end: Infinity }
    const reports = { sound: new DecoderLog(file), picture: new DecoderLog(file) }

    const { animation } = this.header
    const opened = animation
      ? await asApng(file, animation, { log: reports.picture, signal })
      : file
    const { source, header: measured } = await measureHeader(opened, this.header, signal)
    const header = await this.#wanted(source, measured, signal)
    if (header.video !== null && header.isStill) {
      return yield* decodeStill(source, header.video, this.format, { log: reports.picture, signal })
    }
    const halves = openStreams({ source, header, format: this.format, window, reports, signal })
    const summary = yield* zipSegments({ ...halves, stop }, window, this.format.seconds)
    const mix = this.format.audio.channels
    return summarizeDecode({
      source,
      header: measured,
      summary,
      reports,
      window,
      mix,
      isHalf: only !== undefined,
    })
  }

  /** The header without the half that is not wanted. */
  async #wanted(
    source: StagedFile,
    header: MediaHeader,
    signal: AbortSignal,
  ): Promise<MediaHeader> {
    const { video, audioTracks, isStill } = header
    const isHeard = this.#isWanted('audio')
    const isSeen = this.#isWanted('visual')
    const moving = video && !isStill && isSeen
    const seen = moving ? { ...video, keyGap: await keyGap(source, video, signal) } : video
    const otherPictures = isSeen ? header.otherVideos : []
    return {
      ...header,
      video: isSeen ? seen : null,
      otherVideos: otherPictures,
      audioTracks: isHeard ? audioTracks : [],
    }
  }

  #isWanted(modality: Modality): boolean {
    const { only = modality } = this.options
    return only === modality && this.format.modalities.includes(modality)
  }
}
