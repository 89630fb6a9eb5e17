import type { Provider } from '../config.js'
import type { Modality } from '../domain.js'

/** What the encoder says to its worker thread, and what comes back. Buffers are transferred, not copied. */
export interface WorkerStart {
  readonly graphs: Readonly<Record<Modality, string>>
  readonly providers: readonly Provider[]
  readonly threads: number
}

export type BatchInput =
  | { readonly modality: 'audio'; readonly samples: Float32Array; readonly lengths: readonly number[] } // [B, T]
  | { readonly modality: 'visual'; readonly frames: Uint8Array; readonly shape: readonly [number, number, number] } // [B, H, W, 3], shape is B, H, W

/** The worker ends by itself, after the batch that is running: to terminate a thread inside onnxruntime ends the process. */
export interface Close {
  readonly type: 'close'
}

export interface BatchOutput {
  readonly embeddings: Float32Array // [B, D]
  readonly logits: Float32Array | null // [B, C]
}

export interface ProviderRefusal {
  readonly provider: Provider
  readonly reason: string
}

export interface ProviderReport {
  readonly inUse: Provider
  readonly refused: readonly ProviderRefusal[] // asked for before it, and why each could not be used
}

export type WorkerMessage =
  | { readonly type: 'ready'; readonly providers: ProviderReport }
  | { readonly type: 'unready'; readonly refused: readonly ProviderRefusal[] }
  | { readonly type: 'done'; readonly output: BatchOutput }
  | { readonly type: 'failed'; readonly reason: string }
