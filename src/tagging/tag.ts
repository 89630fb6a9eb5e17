import type { Label } from '../domain/clip.js'
import { embed } from '../embed/embed.js'
import type { Encoder } from '../encoder/encoder.js'
import { openMedia } from '../media/media.js'
import type { DecoderPool } from '../media/process/decoder-pool.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { segmentLabels, type TaggedSegment, wholeLabels } from './labels.js'

/** Labels of a file and of its segments, most probable first. */
export interface Tags {
  readonly labels: readonly Label[]
  readonly segments: readonly TaggedSegment[]
}

/** What `tagFile` needs. */
export interface TagDeps {
  readonly encoder: Encoder
  readonly decoders: DecoderPool
}

/** Options of `tagFile`. */
export interface TagOptions {
  readonly limit: number // labels for the file and for each segment
  readonly longestSeconds?: number | undefined // of media; longer media throw MEDIA_TOO_LONG
  readonly signal?: AbortSignal | undefined
}

/**
 * Returns the top AudioSet labels of a file and of each segment. Stores nothing. Throws
 * MEDIA_TOO_LONG.
 */
export async function tagFile(
  file: OpenedFile,
  { encoder, decoders }: TagDeps,
  { limit, longestSeconds, signal }: TagOptions,
): Promise<Tags> {
  using slot = await decoders.enter('query', signal)
  const options = { longestSeconds, slot, signal }
  const media = await openMedia(file, encoder.bundle.format, options)
  const segments: TaggedSegment[] = []
  for await (const segment of embed(media, encoder, {
    priority: 'query',
    tags: true,
    longestSeconds,
    signal,
  })) {
    segments.push({
      start: segment.start,
      end: segment.end,
      labels: segmentLabels(segment, encoder.bundle),
    })
  }
  return topTags(segments, limit)
}

/** Returns at most `limit` labels for the file and for each segment. */
export function topTags(segments: readonly TaggedSegment[], limit: number): Tags {
  return {
    labels: wholeLabels(segments).slice(0, limit),
    segments: segments.map((segment) => ({ ...segment, labels: segment.labels.slice(0, limit) })),
  }
}
