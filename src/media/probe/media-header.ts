import type { Clock } from './clock.js'
import type { WebpAnimation } from './webp-animation.js'

/** ffmpeg's names of PQ and HLG. */
export const HDR_TRANSFERS = ['smpte2084', 'arib-std-b67'] as const

/** The transfer function of an HDR track. */
type HdrTransfer = (typeof HDR_TRANSFERS)[number]

/** A stream of a file, as its header states it. */
export interface Track {
  readonly index: number // ffmpeg's index of the stream
  readonly startsAt: number // seconds after the start of the clip
  readonly seconds: number | null // stated, not measured
}

/** An audio stream. */
export interface AudioTrack extends Track {
  readonly channels: number
  readonly hasLayout: boolean // whether the file assigns each channel to a speaker
  readonly spacing: Spacing
}

/**
 * How audio packets are spaced in time. `untimed`: contiguous, since the timestamps are generated
 * by ffmpeg. `even`: contiguous, except for damaged packets. `any`: gaps are possible.
 */
export type Spacing = 'untimed' | 'even' | 'any'

/** A video stream or an image. */
export interface VideoTrack extends Track {
  readonly width: number // pixels; 0 if the header does not state it
  readonly height: number
  readonly hdr: HdrTransfer | null
  readonly canToneMap: boolean
  readonly keyGap: number | null // seconds between key frames, if known and regular
  readonly hasAlpha: boolean // parts may be transparent
  readonly decoder: string | null // overrides ffmpeg's default decoder, which drops the alpha
}

/** What the header of a file states. */
export interface MediaHeader {
  readonly format: string // ffprobe's name
  readonly seconds: number | null
  readonly video: VideoTrack | null
  readonly otherVideos: readonly VideoTrack[] // used if `video` is blank
  readonly cover: VideoTrack | null
  readonly audioTracks: readonly AudioTrack[] // the default ones first
  readonly isStill: boolean // one image and nothing else
  readonly streams: number // number of streams of all types
  readonly animation: WebpAnimation | null // if ffmpeg cannot decode the file directly
  readonly clock: Clock | null // if ffmpeg's timestamps are not times in the clip
}

/** Returns the tracks with the default ones first, otherwise in the order of the file. */
export function defaultFirst<T>(tracks: readonly T[], isDefault: (track: T) => boolean): T[] {
  return [...tracks].sort((a, b) => Number(isDefault(b)) - Number(isDefault(a)))
}
