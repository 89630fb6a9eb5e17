import type { Label, Span } from '../domain/clip.js'
import type { EmbeddedSegment } from '../embed/embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { BundleClass } from '../encoder/manifest.js'

/** Bounds of a segment's labels: labels of lower probability or lower rank are noise. */
const MIN_PROBABILITY = 0.01
const LABELS_PER_SEGMENT = 20

/** A segment with its labels. */
export interface TaggedSegment extends Span {
  readonly labels: readonly Label[] // most probable first
}

/** Returns the labels of a segment, from the first of the bundle's tag sources that it has. */
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

/** Returns the labels of a whole clip, each with its highest probability in any segment. */
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
