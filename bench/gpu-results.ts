/** Describes the results of a step of bench/gpu.sh. A file contains one array. */
export interface GoldenRow {
  readonly modality: string
  readonly output: 'embedding' | 'logits'
  readonly cosine: number
  readonly maxDifference: number
  readonly atol: number // tolerance of the encoder
}

export interface TimeRow {
  readonly kind: 'sound' | 'frame'
  readonly batch: number
  readonly firstMs: number // duration of the first batch of this size
  readonly ms: number // duration of a batch, the median of the rounds
  readonly rounds: number
}

/** Describes one line of steps.tsv. */
export interface Step {
  readonly name: string
  readonly status: 'ok' | 'failed' | 'stopped' | 'left out'
  readonly seconds: number
  readonly reason: string // '' if the step is ok
}
