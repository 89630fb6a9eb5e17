import type { Provider } from '../config.js'
import type { ByGraph } from './manifest.js'

// Messages between the encoder and its worker thread. Buffers are transferred, not copied.

/**
 * Start parameters of the worker: paths of the graphs, providers in order, threads per operation.
 */
export interface WorkerStart {
  readonly graphs: ByGraph<string>
  readonly providers: readonly Provider[]
  readonly threads: number
}

/** Audio inputs, each padded to `T` samples. `lengths` has their lengths without padding. */
export interface AudioBatch {
  readonly samples: Float32Array // [B, T]
  readonly lengths: readonly number[]
}

/** RGB frames. */
export interface FrameBatch {
  readonly pixels: Uint8Array // [B, H, W, 3]
  readonly shape: readonly [number, number, number] // B, H, W
}

/**
 * A batch: audio, or frames, or the audio and all frames of a segment that the joint graph tags.
 */
export interface BatchInput {
  readonly type: 'encode'
  readonly tags: boolean
  readonly audio: AudioBatch | null
  readonly frames: FrameBatch | null
}

/**
 * Ends the worker after the current batch. Termination of a thread inside onnxruntime ends the
 * process.
 */
export interface Close {
  readonly type: 'close'
}

/** Output of one modality. B is the batch size, D the dimension, C the number of classes. */
export interface ModalityOutput {
  readonly embeddings: Float32Array // [B, D]
  readonly logits: Float32Array | null // [B, C]
}

/** Output of a batch. */
export interface BatchOutput {
  readonly audio: ModalityOutput | null
  readonly frames: ModalityOutput | null
  readonly joint: Float32Array | null // [frames, C]
}

/** A provider that cannot run the graphs, and why. */
export interface ProviderRefusal {
  readonly provider: Provider
  readonly reason: string
}

/** The provider in use and the refused ones before it. */
export interface ProviderReport {
  readonly inUse: Provider
  readonly refused: readonly ProviderRefusal[] // configured before it
}

/** A message of the worker. */
export type WorkerMessage =
  | { readonly type: 'ready'; readonly providers: ProviderReport }
  | { readonly type: 'unready'; readonly refused: readonly ProviderRefusal[] }
  | { readonly type: 'done'; readonly output: BatchOutput }
  | { readonly type: 'failed'; readonly reason: string }
