import type { VideoTrack } from '../probe/media-header.js'

/** What stands behind transparent parts: docs/decisions/011-alpha.md says why. */
export const BACKGROUNDS = [128, 255] as const // shades of grey
export type Background = (typeof BACKGROUNDS)[number]

/**
 * Filters that put a picture onto a background, to be put before all others; none for a picture that is
 * opaque throughout. Pixels that no viewer shows must not reach the scaler, which would mix them in.
 */
export function flatten(
  { hasAlpha }: Pick<VideoTrack, 'hasAlpha'>,
  background: Background = BACKGROUNDS[0],
): string {
  if (!hasAlpha) return ''
  return (
    'format=rgba,split[picture][copy];' +
    `[copy]lutrgb=r=${background}:g=${background}:b=${background}:a=255[background];` +
    '[background][picture]overlay=format=gbrp,format=rgb24,'
  )
}

/** Input options by which the decoder of a track reads its alpha. */
export const decoderOptions = ({ decoder }: Pick<VideoTrack, 'decoder'>): readonly string[] =>
  decoder === null ? [] : ['-c:v', decoder]
