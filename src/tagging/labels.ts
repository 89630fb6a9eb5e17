import type { Label, Span } from '../domain.js'
import type { EmbeddedSegment } from '../embed.js'
import type { Bundle, BundleClass } from '../encoder/bundle.js'

/** What a segment keeps: below this probability, or behind this many, a label is noise. */
const MIN_PROBABILITY = 0.01
const LABELS_PER_SEGMENT = 20

export interface TaggedSegment extends Span {
  readonly labels: readonly Label[] // most probable first
}

/** The labels of a segment: what is heard; where nothing is, what the picture probably sounds like. */
export function segmentLabels({ audio, visual }: EmbeddedSegment, { classes, tagsFrom }: Bundle): readonly Label[] {
  const source = tagsFrom.find((modality) => (modality === 'audio' ? audio : visual)?.logits)
  const logits = source === 'audio' ? audio?.logits : source === 'visual' ? visual?.logits : null
  return logits ? topLabels(logits, classes) : []
}

/** The labels of a whole clip: each with the probability of the segment in which it is most probable. */
export function wholeLabels(segments: readonly TaggedSegment[]): readonly Label[] {
  const best = new Map<string, Label>()
  for (const label of segments.flatMap(({ labels }) => labels)) {
    if (label.probability > (best.get(label.mid)?.probability ?? 0)) best.set(label.mid, label)
  }
  return [...best.values()].sort(byProbability)
}

function topLabels(logits: Float32Array, classes: readonly BundleClass[]): readonly Label[] {
  return classes
    .map(({ index, mid, name }) => ({ mid, name, probability: sigmoid(logits[index] ?? -Infinity) }))
    .filter(({ probability }) => probability >= MIN_PROBABILITY)
    .sort(byProbability)
    .slice(0, LABELS_PER_SEGMENT)
}

const byProbability = (a: Label, b: Label) => b.probability - a.probability

const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit))
