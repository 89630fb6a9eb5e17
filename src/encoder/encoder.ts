import { setTimeout as sleep } from 'node:timers/promises'
import type { Provider } from '../config.js'
import type { MediaSegment } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import { assemble, type BatchItem, distribute } from './batch.js'
import { BatchQueue, type Priority } from './batching.js'
import type { Bundle } from './bundle.js'
import type { Encoding, SegmentEncoding } from './encoding.js'
import type { ProviderReport } from './protocol.js'
import { startWorker } from './start-worker.js'
import { EncoderThread } from './thread.js'
import { verify } from './verify.js'

/** Options of one encoding. */
export interface EncodeOptions {
  readonly priority: Priority
  readonly tags?: boolean // returns logits too; otherwise no tagging graph runs
  readonly signal?: AbortSignal | undefined
}

interface Job extends BatchItem {
  readonly priority: Priority
  readonly resolve: (encoding: SegmentEncoding) => void
  readonly reject: (error: unknown) => void
}

type Inputs = Pick<MediaSegment, 'samples' | 'frames'>

interface EncodedFrame {
  readonly tags: boolean | undefined
  readonly encoding: Promise<Encoding>
}

interface EncoderOptions {
  readonly providers: readonly Provider[]
  readonly threads: number
}

const RESTART_MS = { first: 500, longest: 60_000 } // each failure doubles the wait

/**
 * Runs the bundle's graphs in a worker thread, in dynamic batches. Queries overtake ingestion. If
 * the thread ends, the encoder starts another: its batch is retried once, and queued items wait.
 * New items fail with ENCODER_RESTARTING until the new thread passes its check.
 */
export class Encoder implements AsyncDisposable {
  readonly #queue = new BatchQueue<Job>()
  readonly #closing = new AbortController()
  #thread: EncoderThread
  #inFlight: readonly Job[] = []
  readonly #retried = new WeakSet<Job>() // jobs whose thread ended once
  #refusal: AppError | null = null // rejects new jobs while there is no thread
  #brokenSinceMs: number | null = null
  /** Encodings by frame, as long as a caller holds the frame. Many segments may share one frame. */
  readonly #encodedFrames = new WeakMap<Uint8Array, EncodedFrame>()
  #revival: Promise<void> = Promise.resolve()

  private constructor(
    readonly bundle: Bundle,
    private readonly options: EncoderOptions,
    thread: EncoderThread,
  ) {
    this.#thread = thread
    this.#watch(thread)
  }

  /** The provider in use and the refused ones. */
  get providers(): ProviderReport {
    return this.#thread.providers
  }

  /**
   * Opens the graphs on the first provider that supports them and checks them against the bundle's
   * golden numbers. Throws PROVIDER_UNAVAILABLE, BUNDLE_INVALID.
   */
  static async open(bundle: Bundle, options: EncoderOptions): Promise<Encoder> {
    return new Encoder(bundle, options, await openThread(bundle, options))
  }

  #watch(thread: EncoderThread): void {
    void thread.ended.then((cause) => this.#lose(cause))
  }

  /** Requeues the batch of a thread that ended and starts another thread. */
  #lose(cause: unknown): void {
    if (this.#closing.signal.aborted) return
    const refusal = this.#refuse(restarting(cause))
    for (const job of this.#inFlight) {
      if (this.#retried.has(job)) job.reject(refusal)
      else this.#queue.push(job, job.priority)
      this.#retried.add(job)
    }
    this.#revival = this.#revive()
  }

  async #revive(): Promise<void> {
    const { signal } = this.#closing
    for (let waitMs = RESTART_MS.first; !signal.aborted; ) {
      await sleep(waitMs, undefined, { signal }).catch(() => {}) // a close ends the loop
      if (signal.aborted) return
      try {
        this.#thread = await openThread(this.bundle, this.options)
        if (!signal.aborted) this.#accept()
        return
      } catch (cause) {
        if (!signal.aborted) this.#break(restarting(cause))
        waitMs = Math.min(2 * waitMs, RESTART_MS.longest)
      }
    }
  }

  /** Accepts jobs again, on a new thread. */
  #accept(): void {
    this.#refusal = null
    this.#brokenSinceMs = null
    this.#watch(this.#thread)
    this.#pump()
  }

  /**
   * Encodes audio: mono `samples` at the bundle's rate, at most one segment. The graph pads shorter
   * audio. Throws RangeError for another length.
   */
  async encodeAudio(samples: Float32Array, options: EncodeOptions): Promise<Encoding> {
    const { audio } = await this.#encode({ kind: 'sound', samples, frames: [] }, options)
    return expectEncoding(audio)
  }

  /** Encodes a frame: RGB, [H, W, 3] of the bundle's size. Throws RangeError for another size. */
  async encodeFrame(frame: Uint8Array, options: EncodeOptions): Promise<Encoding> {
    const { frames } = await this.#encode(
      { kind: 'frame', samples: null, frames: [frame] },
      options,
    )
    return expectEncoding(frames[0])
  }

  /**
   * Encodes the audio and frames of a segment: together if the bundle tags them together, else in
   * batches of each kind. Encodes a repeated frame, which is the same array with the same bytes,
   * once.
   */
  async encodeSegment(
    { samples, frames }: Inputs,
    options: EncodeOptions,
  ): Promise<SegmentEncoding> {
    if (samples && frames.length > 0 && options.tags && this.bundle.tagsFrom.includes('joint')) {
      return this.#encodeTogether(samples, frames, options)
    }
    const [audio, visual] = await Promise.all([
      samples && this.encodeAudio(samples, options),
      Promise.all(frames.map((frame) => this.#encodeOnce(frame, options))),
    ])
    return { audio, frames: visual, joint: [] }
  }

  async #encodeTogether(samples: Float32Array, frames: Inputs['frames'], options: EncodeOptions) {
    const distinct = [...new Set(frames)]
    const encoded = await this.#encode({ kind: 'segment', samples, frames: distinct }, options)
    const perFrame = <T>(outputs: readonly T[]) =>
      outputs.length === 0 ? [] : frames.map((frame) => outputs[distinct.indexOf(frame)] as T)
    return {
      audio: encoded.audio,
      frames: perFrame(encoded.frames),
      joint: perFrame(encoded.joint),
    }
  }

  #encodeOnce(frame: Uint8Array, options: EncodeOptions): Promise<Encoding> {
    const known = this.#encodedFrames.get(frame)
    if (known && known.tags === options.tags) return known.encoding
    const encoding = this.encodeFrame(frame, options)
    this.#encodedFrames.set(frame, { tags: options.tags, encoding })
    encoding.catch(() => this.#encodedFrames.delete(frame))
    return encoding
  }

  /** False while the thread restarts and after the encoder is closed. */
  get isAvailable(): boolean {
    return this.#refusal === null
  }

  /** Time since the thread ended, in ms. 0 while it runs. */
  get unavailableMs(): number {
    return this.#brokenSinceMs === null ? 0 : performance.now() - this.#brokenSinceMs
  }

  /** Time since the current batch started, in ms. 0 while none runs. */
  get batchMs(): number {
    return this.#thread.busyMs
  }

  /**
   * Waits up to `withinMs` for a restart. Returns false if the encoder is closed or still restarts.
   */
  async restarted(withinMs: number): Promise<boolean> {
    await Promise.race([this.#revival, sleep(withinMs, undefined, { ref: false })])
    return this.isAvailable
  }

  /** Rejects all jobs, and closes the thread after the current batch. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#break(new AppError('ENCODER_FAILED', 'The encoder is closed.'))
    await this.#revival
    await this.#thread.close()
  }

  async #encode(
    inputs: Inputs & Pick<Job, 'kind'>,
    { priority, tags = false, signal }: EncodeOptions,
  ) {
    this.#expectInputs(inputs)
    if (this.#refusal) throw this.#refusal
    signal?.throwIfAborted()
    return new Promise<SegmentEncoding>((resolve, reject) => {
      const settle =
        <T>(done: (value: T) => void) =>
        (value: T) => {
          signal?.removeEventListener('abort', abort)
          done(value)
        }
      const outcome = { resolve: settle(resolve), reject: settle(reject) }
      const job: Job = { ...inputs, tags, priority, ...outcome }
      const abort = () => this.#queue.drop(job) && job.reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      this.#queue.push(job, priority)
      this.#pump()
    })
  }

  #expectInputs({ samples, frames }: Inputs): void {
    const { audio, visual } = this.bundle.format
    if (samples && (samples.length < 1 || samples.length > audio.samples)) {
      throw new RangeError(`Expected 1 to ${audio.samples} samples, got ${samples.length}`)
    }
    const bytes = visual.width * visual.height * 3
    const wrong = frames.find((frame) => frame.length !== bytes)
    if (wrong) throw new RangeError(`Expected ${bytes} bytes, got ${wrong.length}`)
  }

  /** Runs one batch at a time, so that a query waits for the current batch at most. */
  #pump(): void {
    if (this.#refusal || this.#inFlight.length > 0) return
    this.#inFlight = this.#queue.take()
    if (this.#inFlight.length > 0) void this.#run(this.#inFlight)
  }

  async #run(jobs: readonly Job[]): Promise<void> {
    try {
      const { batch, buffers } = assemble(jobs, this.bundle.format)
      const output = await this.#thread.run(batch, buffers)
      for (const { item, encoding } of distribute(jobs, output)) deliver(item, encoding)
    } catch (error) {
      for (const job of jobs) if (!this.#retried.has(job)) job.reject(error)
    }
    this.#inFlight = []
    this.#pump()
  }

  /** Rejects new jobs with the reason. Returns the reason. */
  #refuse(reason: AppError): AppError {
    this.#refusal = reason
    this.#brokenSinceMs ??= performance.now()
    return reason
  }

  /** Rejects new jobs and all current ones. */
  #break(reason: AppError): void {
    this.#refuse(reason)
    for (const job of [...this.#inFlight, ...this.#queue.drain()]) job.reject(reason)
  }
}

/** Starts a thread and verifies it. Closes the thread on failure. */
async function openThread(bundle: Bundle, options: EncoderOptions): Promise<EncoderThread> {
  const started = await startWorker({ graphs: bundle.graphs, ...options })
  const thread = new EncoderThread(started)
  try {
    await verify(thread, bundle)
    return thread
  } catch (error) {
    await thread.close()
    throw error
  }
}

function restarting(cause: unknown): AppError {
  const detail = 'The encoder thread ended and restarts: try again in a few seconds.'
  return new AppError('ENCODER_RESTARTING', detail, { cause })
}

/**
 * Resolves a job. Rejects it with ENCODER_FAILED if an embedding is not finite or not of length 1:
 * silence encoded as zeros would stay in the index.
 */
function deliver(job: Job, encoding: SegmentEncoding): void {
  const lengths = [encoding.audio, ...encoding.frames].flatMap((found) =>
    found ? [Math.hypot(...found.embedding)] : [],
  )
  const wrong = lengths.find((length) => !(Math.abs(length - 1) < 1e-3))
  if (wrong === undefined) job.resolve(encoding)
  else job.reject(new AppError('ENCODER_FAILED', `Expected an embedding of length 1, got ${wrong}`))
}

function expectEncoding(encoding: Encoding | null | undefined): Encoding {
  if (!encoding)
    throw new AppError('ENCODER_FAILED', 'Expected an encoding for the input, got none')
  return encoding
}
