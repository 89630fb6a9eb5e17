import type { VideoTrack } from '../probe/media-header.js'

/**
 * Shades of grey behind transparent pixels, in the order of use. See docs/decisions/011-alpha.md.
 */
export const BACKGROUNDS = [128, 255] as const

/** A shade of grey, 0 to 255. */
export type Background = (typeof BACKGROUNDS)[number]

/**
 * Returns filters that put a video onto a background, or an empty string for an opaque track. They
 * must precede all others: the scaler would blend the colours of transparent pixels into visible
 * ones.
 */
export function flatten(
  { hasAlpha }: Pick<VideoTrack, 'hasAlpha'>,
  background: Background = BACKGROUNDS[0],
): string {
  if (!hasAlpha) return ''
  return (
    'format=rgba,split[video][copy];' +
    `[copy]lutrgb=r=${background}:g=${background}:b=${background}:a=255[background];` +
    '[background][video]overlay=format=gbrp,format=rgb24,'
  )
}

/** Returns the input options that select a decoder which reads the alpha of a track. */
export const decoderOptions = ({ decoder }: Pick<VideoTrack, 'decoder'>): readonly string[] =>
  decoder === null ? [] : ['-c:v', decoder]
