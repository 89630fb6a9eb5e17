import type { VideoTrack } from '../probe/media-header.js'

/** Diffuse white of HDR in cd/m² (ITU-R BT.2408): it becomes the white of an ordinary screen. */
const WHITE = 203
/** Up to this share of white nothing changes; highlights above it are rolled off. */
const LINEAR_SHARE = 0.6

/** Filters from HDR to BT.709, to be appended to others; none for what is no HDR or cannot be mapped here. */
export function toneMap({ hdr, canToneMap }: Pick<VideoTrack, 'hdr' | 'canToneMap'>): string {
  if (hdr === null || !canToneMap) return ''
  return (
    // Chroma in full first: the squashed frame is too small to halve it again.
    `,format=yuv444p10le,zscale=tin=${hdr}:pin=bt2020:min=bt2020nc:rin=tv:t=linear:npl=${WHITE},format=gbrpf32le,` +
    `zscale=p=bt709,tonemap=mobius:param=${LINEAR_SHARE}:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv444p`
  )
}
