import { LIMITS } from '../config.js'
import type { MediaSegment, Modality, SegmentFormat, Span } from '../domain.js'
import { AppError } from '../errors.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { asApng } from './animation.js'
import { tooLong } from './audio.js'
import type { DecoderSlot } from './decoder-pool.js'
import { openHalves } from './halves.js'
import { readHeader } from './header.js'
import { join } from './join.js'
import { keyGap } from './key-gap.js'
import { measureHeader } from './measured-header.js'
import { conclude, type DecodeOutcome, noContent } from './outcome.js'
import type { PictureTrack, Probe } from './probe.js'
import { Report } from './report.js'
import { sniff } from './sniff.js'
import { openSource, type Source } from './source.js'
import { decodeStill } from './still.js'
import type { Window } from './timing.js'

export type { DecodeOutcome } from './outcome.js'

export interface MediaOptions {
  readonly range?: Span | undefined
  readonly only?: Modality | undefined // the other half is not decoded
  readonly longestSeconds?: number | undefined // more is MEDIA_TOO_LONG; LIMITS.clipSeconds by default
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
  readonly outcome: DecodeOutcome // known once segments() has ended
}

/**
 * Recognises a file by its content and refuses what is no media, or none that Earshot opens. The file
 * must stay open until the segments have been read.
 */
export async function openMedia(file: OpenedFile, format: SegmentFormat, options: MediaOptions = {}): Promise<Media> {
  await sniff(file)
  const header = await readHeader(file, options)
  const usable = { ...header, ...largeEnough(header, file.name) }
  refuseUnserved(usable, file.name, format)
  if (options.range === undefined) refuseTooLong(file, header, options.longestSeconds)
  return new MediaFile(file, format, usable, options)
}

/** The picture tracks without those that are too small to show anything. */
function largeEnough(
  { picture, otherPictures, sounds }: Probe,
  name: string,
): Pick<Probe, 'picture' | 'otherPictures'> {
  if (picture === null && sounds.length === 0) throw noContent(name)
  const side = ({ width, height }: PictureTrack) => (width === 0 ? Infinity : Math.min(width, height))
  const pictures = picture === null ? [] : [picture, ...otherPictures]
  const [first = null, ...others] = pictures.filter((track) => side(track) >= LIMITS.pictureSidePixels)
  if (first !== null || sounds.length > 0) return { picture: first, otherPictures: others }
  const detail = `Expected a picture of at least ${LIMITS.pictureSidePixels} pixels a side, got ${Math.max(...pictures.map(side))}: ${name}`
  throw new AppError('MEDIA_TOO_SMALL', detail)
}

function refuseUnserved({ picture, sounds }: Probe, name: string, { modalities }: SegmentFormat): void {
  const has = { audio: sounds.length > 0, visual: picture !== null }
  if (modalities.some((modality) => has[modality])) return
  const detail = `Expected a file with ${modalities.join(' or ')} content, all that the bundle in use takes: ${name}`
  throw new AppError('MODALITY_NOT_SERVED', detail)
}

/** A header's length is believed where the file has bytes enough for it: 250 a second is less than any speech. */
function refuseTooLong({ bytes }: OpenedFile, { seconds }: Probe, longestSeconds: number = LIMITS.clipSeconds): void {
  if (seconds === null || seconds <= longestSeconds || bytes / 250 <= longestSeconds) return
  throw tooLong(longestSeconds)
}

class MediaFile implements Media {
  readonly kind: MediaKind
  readonly statedSeconds: number | null
  #outcome: DecodeOutcome | null = null

  constructor(
    private readonly file: OpenedFile,
    private readonly format: SegmentFormat,
    private readonly header: Probe,
    private readonly options: MediaOptions,
  ) {
    this.kind = header.isStill ? 'picture' : header.picture !== null ? 'video' : 'sound'
    this.statedSeconds = header.isStill ? 0 : header.seconds
  }

  get outcome(): DecodeOutcome {
    if (this.#outcome === null) throw new Error('The outcome is known once segments() has ended')
    return this.#outcome
  }

  async *segments(): AsyncGenerator<MediaSegment, void> {
    const { slot, signal } = this.options
    await slot?.enlargeFor(this.header, signal)
    await using source = await openSource(this.file, slot?.limits)
    this.#outcome = yield* this.#decode(source)
  }

  async *#decode(file: Source): AsyncGenerator<MediaSegment, DecodeOutcome> {
    const { range, only, signal: outer } = this.options
    const stop = new AbortController()
    const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal
    const window: Window = range ?? { start: 0, end: Infinity }
    const reports = { sound: new Report(file), picture: new Report(file) }

    const { animation } = this.header
    const opened = animation ? await asApng(file, animation, { report: reports.picture, signal }) : file
    const { source, header: measured } = await measureHeader(opened, this.header, signal)
    const header = await this.#wanted(source, measured, signal)
    if (header.picture !== null && header.isStill) {
      return yield* decodeStill(source, header.picture, this.format, { report: reports.picture, signal })
    }
    const halves = openHalves({ source, header, format: this.format, window, reports, signal })
    const summary = yield* join({ ...halves, stop }, window, this.format.seconds)
    const mix = this.format.audio.channels
    return conclude({ source, header: measured, summary, reports, window, mix, isHalf: only !== undefined })
  }

  /** The header without the half that is not wanted. */
  async #wanted(source: Source, header: Probe, signal: AbortSignal): Promise<Probe> {
    const { picture, sounds, isStill } = header
    const isHeard = this.#isWanted('audio')
    const isSeen = this.#isWanted('visual')
    const moving = picture && !isStill && isSeen
    const seen = moving ? { ...picture, keyGap: await keyGap(source, picture, signal) } : picture
    const otherPictures = isSeen ? header.otherPictures : []
    return { ...header, picture: isSeen ? seen : null, otherPictures, sounds: isHeard ? sounds : [] }
  }

  #isWanted(modality: Modality): boolean {
    const { only = modality } = this.options
    return only === modality && this.format.modalities.includes(modality)
  }
}
