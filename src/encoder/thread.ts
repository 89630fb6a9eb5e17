import type { Worker } from 'node:worker_threads'
import { AppError } from '../errors.js'
import type { BatchInput, BatchOutput, Close, ProviderReport, WorkerMessage } from './protocol.js'
import type { StartedWorker } from './start-worker.js'

interface Running {
  readonly sinceMs: number
  readonly resolve: (output: BatchOutput) => void
  readonly reject: (error: AppError) => void
}

/** Runs batches in a worker thread, one at a time. */
export class EncoderThread {
  readonly providers: ProviderReport
  readonly ended: Promise<AppError> // resolves with the reason when the thread ends
  readonly #worker: Worker
  #running: Running | null = null
  #end: AppError | null = null

  constructor({ worker, providers, ended }: StartedWorker) {
    this.#worker = worker
    this.providers = providers
    this.ended = ended
    worker.on('message', (message: WorkerMessage) => this.#receive(message))
    void ended.then((reason) => {
      this.#end = reason
      this.#take()?.reject(reason)
    })
  }

  /** Time since the current batch started, in ms. 0 while none runs. */
  get busyMs(): number {
    return this.#running === null ? 0 : performance.now() - this.#running.sinceMs
  }

  /** Runs a batch. The batch before it must have ended. Throws ENCODER_FAILED. */
  run(batch: BatchInput, buffers: readonly ArrayBuffer[]): Promise<BatchOutput> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      this.#running = { sinceMs: performance.now(), resolve, reject }
      this.#worker.postMessage(batch, buffers)
    })
  }

  /** Ends the thread after the current batch. */
  async close(): Promise<void> {
    this.#worker.postMessage({ type: 'close' } satisfies Close)
    await this.ended
  }

  #receive(message: WorkerMessage): void {
    const running = this.#take()
    if (message.type === 'done') running?.resolve(message.output)
    if (message.type === 'failed') running?.reject(new AppError('ENCODER_FAILED', message.reason))
  }

  #take(): Running | null {
    const running = this.#running
    this.#running = null
    return running
  }
}
