import type { MediaSegment, SegmentFormat } from '../../domain/segment-format.js'
import type { VideoTrack } from '../probe/media-header.js'
import type { StagedFile } from '../staging/staged-file.js'
import { BACKGROUNDS } from './alpha.js'
import { isBlank } from './frame.js'
import { type DecodeSummary, damaged, noContent } from './summarize.js'
import { type StillOptions, stillFrame } from './video.js'

/**
 * Decodes an image to one segment of length 0. Throws MEDIA_DAMAGED or MEDIA_TOO_LARGE if it cannot
 * be decoded, MEDIA_NO_CONTENT if it is blank.
 */
export async function* decodeStill(
  source: StagedFile,
  track: VideoTrack,
  format: SegmentFormat,
  options: StillOptions,
): AsyncGenerator<MediaSegment, DecodeSummary> {
  const frame = await visibleFrame(source, track, format, options)
  if (frame === null) throw damaged(source, [options.log])
  if (isBlank(frame)) throw noContent(source.name)
  yield { start: 0, end: 0, samples: null, frames: [frame] }
  const notes = options.log.errorCount > 0 ? (['DAMAGED'] as const) : []
  return { seconds: 0, notes, audible: false, visible: true }
}

/** Returns the image on the first background on which it is not blank. */
async function visibleFrame(
  source: StagedFile,
  track: VideoTrack,
  format: SegmentFormat,
  options: StillOptions,
): Promise<Uint8Array | null> {
  const [first, ...others] = BACKGROUNDS
  const frame = await stillFrame(source, track, format, options, first)
  if (frame === null || !track.hasAlpha || !isBlank(frame)) return frame
  for (const background of others) {
    const other = await stillFrame(source, track, format, options, background)
    if (other !== null && !isBlank(other)) return other
  }
  return frame
}
