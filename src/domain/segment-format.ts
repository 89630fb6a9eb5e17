import type { Span } from './clip.js'
import type { Modality } from './modality.js'

/**
 * The methods to fit a picture to the input size of the model. `squash`: scales the whole picture
 * and ignores its aspect ratio. `trim`: crops the ends beyond 4:3 and squashes the rest. `cover`:
 * crops the centre to the aspect ratio of the model.
 */
export const RESIZES = ['squash', 'trim', 'cover'] as const

/** One of RESIZES. */
export type Resize = (typeof RESIZES)[number]

/**
 * The input format of the graphs of a bundle. The decoder produces exactly this format. All numbers
 * come from bundle.json.
 */
export interface SegmentFormat {
  readonly seconds: number
  /** The modalities that have a graph. The other modality of a file is not decoded. */
  readonly modalities: readonly Modality[]
  readonly audio: {
    readonly sampleRateHz: number
    readonly samples: number // per segment
    readonly channels: 'mean' | 'first' // how channels are mixed to mono
  }
  readonly visual: {
    readonly width: number
    readonly height: number
    readonly resize: Resize
    readonly framesPerSegment: number
  }
}

/**
 * One decoded segment. `samples` is null if the sound is silent. `frames` is empty if the picture
 * is blank.
 */
export interface MediaSegment extends Span {
  /** Mono in [-1, 1], at most `format.audio.samples` long. The last segment can be shorter. */
  readonly samples: Float32Array | null
  /** RGB, [height, width, 3] each. Consecutive equal frames are the same array. */
  readonly frames: readonly Uint8Array[]
}
