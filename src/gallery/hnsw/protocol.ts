import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { ErrorCode } from '../../errors.js'
import type { IndexInfo, NearestQuery } from '../vector/vector-index.js'
import type { EngineOptions } from './engine.js'

/** The start parameters of the worker thread. */
export interface WorkerStart {
  readonly options: EngineOptions
  readonly exitState: Int32Array<SharedArrayBuffer> // shared memory of its ExitGate
}

/** A page of changes. Its buffers are transferred, not copied. */
export interface PackedChanges {
  readonly cursor: Seq
  readonly ops: Uint8Array // of each change: its index in OPS
  readonly seqs: Float64Array // of each change
  readonly segments: Float64Array // of each change; 0 for attributes
  readonly vectors: Float32Array // of each put: [puts, D]
  readonly clips: readonly ClipId[] // of each put and each attribute change
  readonly attributes: readonly Attributes[] // likewise
}

/** The segments of a `holding` call. */
export interface PackedHolding {
  readonly segments: Float64Array
  readonly modality: Modality
}

/** The answer to a query. Its buffers are transferred. */
export interface PackedNeighbours {
  readonly segments: Float64Array // best first
  readonly scores: Float64Array
  readonly isExhausted: boolean
  readonly generation: string
}

/** The input and the answer of each call to the worker thread. */
export interface Calls {
  readonly apply: { readonly input: PackedChanges; readonly answer: undefined }
  readonly nearest: { readonly input: NearestQuery; readonly answer: PackedNeighbours }
  readonly holding: { readonly input: PackedHolding; readonly answer: Float64Array }
  readonly info: { readonly input: undefined; readonly answer: IndexInfo }
  /** The thread ends after this call. */
  readonly close: { readonly input: undefined; readonly answer: undefined }
}

/** The name of a call. */
export type CallName = keyof Calls

/** A call. Its answer has the same id. */
export type Call = {
  [Name in CallName]: {
    readonly type: Name
    readonly id: number
    readonly input: Calls[Name]['input']
  }
}[CallName]

/** The answer to `askHistoryToken`. `failure` is present if the log failed. */
export interface HistoryToken {
  readonly type: 'historyToken'
  readonly id: number
  readonly token?: string | undefined
  readonly failure?: string
}

/** A message from the main thread. */
export type ToWorker = Call | HistoryToken

/** A message from the worker thread. */
export type FromWorker =
  | { readonly type: 'answered'; readonly id: number; readonly answer: Calls[CallName]['answer'] }
  | {
      readonly type: 'failed'
      readonly id: number
      readonly code: ErrorCode
      readonly message: string
    }
  | { readonly type: 'askHistoryToken'; readonly id: number; readonly seq: Seq }
  | { readonly type: 'warn'; readonly message: string; readonly warning: string | undefined }
