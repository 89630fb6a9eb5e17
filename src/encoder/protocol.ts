import type { Provider } from '../config.js'
import type { ByGraph } from './manifest.js'

/** What the encoder says to its worker thread, and what comes back. Buffers are transferred, not copied. */
export interface WorkerStart {
  readonly graphs: ByGraph<string>
  readonly providers: readonly Provider[]
  readonly threads: number
}

export interface AudioBatch {
  readonly samples: Float32Array // [B, T]
  readonly lengths: readonly number[]
}

export interface FrameBatch {
  readonly pixels: Uint8Array // [B, H, W, 3]
  readonly shape: readonly [number, number, number] // B, H, W
}

/** Sounds, or frames, or the one sound and all frames of a segment that is tagged by both together. */
export interface BatchInput {
  readonly type: 'encode'
  readonly tags: boolean
  readonly audio: AudioBatch | null
  readonly frames: FrameBatch | null
}

/** The worker ends by itself, after the batch that is running: to terminate a thread inside onnxruntime ends the process. */
export interface Close {
  readonly type: 'close'
}

export interface ModalityOutput {
  readonly embeddings: Float32Array // [B, D]
  readonly logits: Float32Array | null // [B, C]
}

export interface BatchOutput {
  readonly audio: ModalityOutput | null
  readonly frames: ModalityOutput | null
  readonly joint: Float32Array | null // [frames, C]
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
