import type { Span } from './clip.js'
import type { Modality } from './modality.js'

/**
 * How a picture comes to the model's size. `squash`: whole, whatever its shape. `trim`: ends beyond 4:3 are cut off, the
 * rest is squashed. `cover`: the centre, of the model's own shape.
 */
export const RESIZES = ['squash', 'trim', 'cover'] as const

export type Resize = (typeof RESIZES)[number]

/** What a bundle's graphs take: the decoder delivers exactly this. Every number comes from bundle.json. */
export interface SegmentFormat {
  readonly seconds: number
  readonly modalities: readonly Modality[] // that there is a graph for: the other half of a file is not decoded
  readonly audio: {
    readonly sampleRateHz: number
    readonly samples: number // of one segment
    readonly channels: 'mean' | 'first' // how many channels become one
  }
  readonly visual: {
    readonly width: number
    readonly height: number
    readonly resize: Resize
    readonly framesPerSegment: number
  }
}

/** One decoded segment. `samples` is null where nothing can be heard, `frames` empty where nothing can be seen. */
export interface MediaSegment extends Span {
  readonly samples: Float32Array | null // mono in [-1, 1], at most format.audio.samples long: the last may be shorter
  readonly frames: readonly Uint8Array[] // RGB, [height, width, 3] each; equal ones in a row are the same array
}
