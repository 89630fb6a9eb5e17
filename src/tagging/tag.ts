import type { Label } from '../domain.js'
import { embed } from '../embed.js'
import type { Encoder } from '../encoder/encoder.js'
import { openMedia } from '../media/media.js'
import { segmentLabels, type TaggedSegment, wholeLabels } from './labels.js'

export interface Tags {
  readonly labels: readonly Label[]
  readonly segments: readonly TaggedSegment[]
}

/** The top AudioSet labels of a file, for each segment and for the whole; nothing is stored. */
export async function tagFile(
  path: string,
  encoder: Encoder,
  { limit, signal }: { readonly limit: number; readonly signal?: AbortSignal | undefined },
): Promise<Tags> {
  const media = await openMedia(path, encoder.bundle.format, { signal })
  const segments: TaggedSegment[] = []
  for await (const segment of embed(media, encoder, { priority: 'query', tags: true, signal })) {
    segments.push({ start: segment.start, end: segment.end, labels: segmentLabels(segment, encoder.bundle) })
  }
  return topTags(segments, limit)
}

/** At most `limit` labels for the whole and for each segment. */
export function topTags(segments: readonly TaggedSegment[], limit: number): Tags {
  return {
    labels: wholeLabels(segments).slice(0, limit),
    segments: segments.map((segment) => ({ ...segment, labels: segment.labels.slice(0, limit) })),
  }
}
