/** What the steps of bench/gpu.sh write, one array a file. */
export interface GoldenRow {
  readonly modality: string
  readonly output: 'embedding' | 'logits'
  readonly cosine: number
  readonly maxDifference: number
  readonly atol: number // what the encoder allows
}

export interface TimeRow {
  readonly kind: 'sound' | 'frame'
  readonly batch: number
  readonly firstMs: number // of the first batch of this size
  readonly ms: number // of a batch, the median of the rounds
  readonly rounds: number
}

/** One line of steps.tsv. */
export interface Step {
  readonly name: string
  readonly status: 'ok' | 'failed' | 'stopped' | 'left out'
  readonly seconds: number
  readonly reason: string // '' where it is ok
}
