import { Worker } from 'node:worker_threads'
import type { Provider } from '../config.js'
import type { Modality, UnitVector } from '../domain.js'
import { AppError } from '../errors.js'
import { BatchQueue, type Priority } from './batching.js'
import type { Bundle } from './bundle.js'
import type { Encoding } from './encoding.js'
import { checkGolden, goldenFrame, goldenSamples } from './golden.js'
import type { BatchInput, BatchOutput, Close, ProviderReport, WorkerMessage } from './protocol.js'

export interface EncodeOptions {
  readonly priority: Priority
  readonly signal?: AbortSignal | undefined
}

interface Job {
  readonly modality: Modality
  readonly input: Float32Array | Uint8Array
  readonly resolve: (encoding: Encoding) => void
  readonly reject: (error: unknown) => void
}

/** The bundle's graphs, run in a worker thread in dynamic batches. Queries overtake ingestion. */
export class Encoder implements AsyncDisposable {
  readonly #queue = new BatchQueue<Job>()
  #inFlight: readonly Job[] = []
  #broken: AppError | null = null
  readonly #exited: Promise<void>

  private constructor(
    readonly bundle: Bundle,
    readonly providers: ProviderReport,
    private readonly worker: Worker,
  ) {
    worker.on('message', (message: WorkerMessage) => this.#answer(message))
    worker.on('error', (error) => this.#break(`The encoder's thread failed: ${error.message}`, error))
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
    void this.#exited.then(() => this.#break("The encoder's thread ended."))
  }

  /**
   * Opens the graphs on the first provider that takes them and checks them against the bundle's golden numbers.
   * PROVIDER_UNAVAILABLE, BUNDLE_INVALID.
   */
  static async open(
    bundle: Bundle,
    { providers, threads }: { readonly providers: readonly Provider[]; readonly threads: number },
  ): Promise<Encoder> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { graphs: bundle.graphs, providers, threads },
    })
    const encoder = new Encoder(bundle, await ready(worker), worker)
    try {
      await encoder.#verify()
      return encoder
    } catch (error) {
      await encoder[Symbol.asyncDispose]()
      throw error
    }
  }

  /** `samples`: mono at the bundle's rate, at most one segment; shorter ones are filled by the graph's own rule. */
  async encodeSound(samples: Float32Array, options: EncodeOptions): Promise<Encoding> {
    const { samples: most } = this.bundle.format.audio
    if (samples.length < 1 || samples.length > most) {
      throw new RangeError(`Expected 1 to ${most} samples, got ${samples.length}`)
    }
    return this.#encode('audio', samples, options)
  }

  /** `frame`: RGB, [H, W, 3] of the bundle's size. */
  async encodeFrame(frame: Uint8Array, options: EncodeOptions): Promise<Encoding> {
    const { width, height } = this.bundle.format.visual
    if (frame.length !== width * height * 3) {
      throw new RangeError(`Expected ${width * height * 3} bytes, got ${frame.length}`)
    }
    return this.#encode('visual', frame, options)
  }

  /** False once the worker has failed or the encoder is closed. */
  get alive(): boolean {
    return this.#broken === null
  }

  async #verify(): Promise<void> {
    const { golden, format } = this.bundle
    const options = { priority: 'query' } as const
    const sound = await this.encodeSound(goldenSamples(golden.audio.length, format), options)
    checkGolden('audio', sound, golden)
    checkGolden('visual', await this.encodeFrame(goldenFrame(format), options), golden)
  }

  /** Rejects what waits; the batch that is running ends first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#break('The encoder is closed.')
    await this.#exited
  }

  #encode(modality: Modality, input: Job['input'], { priority, signal }: EncodeOptions): Promise<Encoding> {
    if (this.#broken) return Promise.reject(this.#broken)
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const settle =
        <T>(done: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', abort)
          done(value)
        }
      const job: Job = { modality, input, resolve: settle(resolve), reject: settle(reject) }
      const abort = () => this.#queue.drop(job) && job.reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      this.#queue.push(job, priority)
      this.#pump()
    })
  }

  /** One batch at a time: a query never waits behind more than the batch that is running. */
  #pump(): void {
    if (this.#inFlight.length > 0) return
    this.#inFlight = this.#queue.take()
    const [first] = this.#inFlight
    if (!first) return
    const batch = this.#assemble(first.modality, this.#inFlight)
    const data = batch.modality === 'audio' ? batch.samples : batch.frames
    this.worker.postMessage(batch, [data.buffer as ArrayBuffer])
  }

  #assemble(modality: Modality, jobs: readonly Job[]): BatchInput {
    const { audio, visual } = this.bundle.format
    if (modality === 'audio') {
      const samples = new Float32Array(jobs.length * audio.samples)
      for (const [i, job] of jobs.entries()) samples.set(job.input, i * audio.samples)
      return { modality, samples, lengths: jobs.map((job) => job.input.length) }
    }
    const bytes = visual.width * visual.height * 3
    const frames = new Uint8Array(jobs.length * bytes)
    for (const [i, job] of jobs.entries()) frames.set(job.input, i * bytes)
    return { modality, frames, shape: [jobs.length, visual.height, visual.width] }
  }

  #answer(message: WorkerMessage): void {
    const jobs = this.#inFlight
    this.#inFlight = []
    if (message.type === 'done') {
      for (const [i, job] of jobs.entries()) deliver(job, i, jobs.length, message.output)
    }
    if (message.type === 'failed') {
      for (const job of jobs) job.reject(new AppError('ENCODER_FAILED', message.reason))
    }
    this.#pump()
  }

  #break(detail: string, cause?: unknown): void {
    if (this.#broken) return
    this.#broken = new AppError('ENCODER_FAILED', detail, { cause })
    this.worker.postMessage({ type: 'close' } satisfies Close)
    for (const job of [...this.#inFlight, ...this.#queue.drain()]) job.reject(this.#broken)
    this.#inFlight = []
  }
}

/** Hands row `i` to its job. What is not finite is an error: silence turned into zeros is indexed for ever. */
function deliver(job: Job, i: number, batch: number, { embeddings, logits }: BatchOutput): void {
  const row = (rows: Float32Array) => rows.slice((i * rows.length) / batch, ((i + 1) * rows.length) / batch)
  const embedding = row(embeddings) as UnitVector // the graph's last step is the L2 norm
  const length = Math.hypot(...embedding)
  if (Math.abs(length - 1) < 1e-3) job.resolve({ embedding, logits: logits && row(logits) })
  else job.reject(new AppError('ENCODER_FAILED', `Expected an embedding of length 1, got ${length}`))
}

function ready(worker: Worker): Promise<ProviderReport> {
  return new Promise((resolve, reject) => {
    worker.once('error', (cause) => reject(new AppError('ENCODER_FAILED', cause.message, { cause })))
    worker.once('message', (message: WorkerMessage) => {
      if (message.type === 'ready') return resolve(message.providers)
      const refused = message.type === 'unready' ? message.refused : []
      const reasons = refused.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ')
      reject(new AppError('PROVIDER_UNAVAILABLE', `Add cpu to EARSHOT_PROVIDERS. Tried: ${reasons}`))
      void worker.terminate()
    })
  })
}
