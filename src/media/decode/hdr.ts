import type { VideoTrack } from '../probe/media-header.js'

/** Diffuse white of HDR in cd/m² (ITU-R BT.2408). It maps to the white of BT.709. */
const WHITE = 203
/** The share of white up to which luminance is unchanged. Highlights above it are compressed. */
const LINEAR_SHARE = 0.6

/**
 * Returns filters from HDR to BT.709, to append to others. Returns an empty string if the track is
 * not HDR, or if ffmpeg cannot map it.
 */
export function toneMap({ hdr, canToneMap }: Pick<VideoTrack, 'hdr' | 'canToneMap'>): string {
  if (hdr === null || !canToneMap) return ''
  return (
    // Full chroma first: the scaled frame is too small for half of it.
    ',format=yuv444p10le,' +
    `zscale=tin=${hdr}:pin=bt2020:min=bt2020nc:rin=tv:t=linear:npl=${WHITE},format=gbrpf32le,` +
    `zscale=p=bt709,tonemap=mobius:param=${LINEAR_SHARE}:desat=0,` +
    'zscale=t=bt709:m=bt709:r=tv,format=yuv444p'
  )
}
