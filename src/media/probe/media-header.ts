import type { Clock } from './clock.js'
import type { WebpAnimation } from './webp-animation.js'

export interface Track {
  readonly index: number
  readonly startsAt: number // seconds after the start of the clip
  readonly seconds: number | null // the header's claim
}

export interface AudioTrack extends Track {
  readonly channels: number
  readonly hasLayout: boolean // the file says what each channel is for
  readonly spacing: Spacing
}

/**
 * How the packets of a sound lie in time. `untimed`: they follow one another, and timestamps are made up by ffmpeg.
 * `even`: they follow one another, but for damaged ones. `any`: there may be gaps.
 */
export type Spacing = 'untimed' | 'even' | 'any'

export interface VideoTrack extends Track {
  readonly width: number // 0 where the header does not say
  readonly height: number
  readonly hdr: HdrTransfer | null
  readonly canToneMap: boolean
  readonly keyGap: number | null // seconds between key frames, where that is known and steady
  readonly hasAlpha: boolean // parts of it may be transparent
  readonly decoder: string | null // to be used in place of ffmpeg's own, which does not read the alpha
}

/** What the header of a file claims. */
export interface MediaHeader {
  readonly format: string
  readonly seconds: number | null
  readonly video: VideoTrack | null
  readonly otherVideos: readonly VideoTrack[] // to be looked at where that one is blank
  readonly cover: VideoTrack | null
  readonly audioTracks: readonly AudioTrack[] // the default ones first
  readonly isStill: boolean // one picture and nothing else
  readonly streams: number // how many streams there are, those of other types included
  readonly animation: WebpAnimation | null // where ffmpeg cannot decode it as it is
  readonly clock: Clock | null // where the timestamps that ffmpeg gives are not times in the clip
}
/** ffmpeg's names of PQ and HLG. */
export const HDR_TRANSFERS = ['smpte2084', 'arib-std-b67'] as const

export type HdrTransfer = (typeof HDR_TRANSFERS)[number]
