import type { Label, Span } from '../domain/clip.js'
import type { EmbeddedSegment } from '../embed/embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { BundleClass } from '../encoder/manifest.js'

/** What a segment keeps: below this probability, or behind this many, a label is noise. */
const MIN_PROBABILITY = 0.01
const LABELS_PER_SEGMENT = 20

export interface TaggedSegment extends Span {
  readonly labels: readonly Label[] // most probable first
}

/** The labels of a segment, from the first source of the bundle's that it has: both together, what is heard, what is seen. */
export function segmentLabels(
  segment: EmbeddedSegment,
  { classes, tagsFrom }: Bundle,
): readonly Label[] {
  for (const source of tagsFrom) {
    const probabilities = source === 'joint' ? segment.joint : segment[source]?.probabilities
    if (probabilities) return topLabels(probabilities, classes)
  }
  return []
}

/** The labels of a whole clip: each with the probability of the segment in which it is most probable. */
export function wholeLabels(segments: readonly TaggedSegment[]): readonly Label[] {
  const best = new Map<string, Label>()
  for (const label of segments.flatMap(({ labels }) => labels)) {
    if (label.probability > (best.get(label.mid)?.probability ?? 0)) best.set(label.mid, label)
  }
  return [...best.values()].sort(byProbability)
}

function topLabels(probabilities: Float32Array, classes: readonly BundleClass[]): readonly Label[] {
  return classes
    .map(({ index, mid, name }) => ({ mid, name, probability: probabilities[index] ?? 0 }))
    .filter(({ probability }) => probability >= MIN_PROBABILITY)
    .sort(byProbability)
    .slice(0, LABELS_PER_SEGMENT)
}

const byProbability = (a: Label, b: Label) => b.probability - a.probability
