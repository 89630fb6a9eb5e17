import { Worker } from 'node:worker_threads'
import { AppError } from '../../errors.js'
import type { ChangeLog } from '../catalogue/change-log.js'
import type { EngineOptions } from './engine.js'
import { ExitGate, shutAtExit } from './exit-gate.js'
import type { CallName, Calls, FromWorker, ToWorker, WorkerStart } from './protocol.js'

interface Pending {
  readonly resolve: (answer: never) => void
  readonly reject: (error: unknown) => void
}

interface CallOptions {
  readonly transfer?: ArrayBuffer[]
  readonly signal?: AbortSignal | undefined
}

type Failure = Extract<FromWorker, { readonly type: 'failed' }>
type Log = Pick<ChangeLog, 'historyTokenAt'>

/** Runs the worker thread of an index. Sends calls and resolves their answers. */
export class EngineThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #exited: Promise<void>
  readonly #pending = new Map<number, Pending>()
  #ended: AppError | undefined // set if the thread has ended or is closing
  #closing: Promise<void> | undefined
  #calls = 0

  constructor(
    options: EngineOptions,
    private readonly log: Log,
  ) {
    const gate = new ExitGate()
    this.#worker = new Worker(new URL('./hnsw-worker.js', import.meta.url), {
      workerData: { options, exitState: gate.state } satisfies WorkerStart,
    })
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
    this.#worker.once('exit', shutAtExit(gate))
    this.#worker.on('message', (message: FromWorker) => this.#onMessage(message))
    this.#worker.on('error', (error) => this.#end(threadEnded(String(error), error)))
    this.#worker.once('exit', (code) => this.#end(threadEnded(`exit code ${code}`)))
  }

  /**
   * Sends a call and resolves with its answer. Rejects with INTERNAL if the thread ends. If
   * `signal` aborts, rejects and ignores a late answer.
   */
  async call<Name extends CallName>(
    type: Name,
    input: Calls[Name]['input'],
    { transfer = [], signal }: CallOptions = {},
  ): Promise<Calls[Name]['answer']> {
    signal?.throwIfAborted()
    if (this.#ended) throw this.#ended
    const id = ++this.#calls
    const abort = () => this.#settle(id)?.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await new Promise<Calls[Name]['answer']>((resolve, reject) => {
        this.#post({ type, id, input } as ToWorker, transfer)
        this.#pending.set(id, { resolve, reject })
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Saves a snapshot and ends the thread. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = this.call('close', undefined)
    this.#ended ??= new AppError('INTERNAL', 'The vector index is closed.')
    await closed.catch(() => {}) // the thread has already ended
    await this.#exited
  }

  #onMessage(message: FromWorker): void {
    if (message.type === 'answered') this.#settle(message.id)?.resolve(message.answer as never)
    else if (message.type === 'failed') this.#settle(message.id)?.reject(toError(message))
    else if (message.type === 'warn') process.emitWarning(message.message, message.warning)
    else void this.#sendHistoryToken(message.id, message.seq)
  }

  async #sendHistoryToken(id: number, seq: number): Promise<void> {
    try {
      this.#post({ type: 'historyToken', id, token: await this.log.historyTokenAt(seq) })
    } catch (error) {
      this.#post({ type: 'historyToken', id, failure: String(error) })
    }
  }

  /** Removes a pending call and returns it. */
  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  #end(reason: AppError): void {
    this.#ended ??= reason
    for (const { reject } of this.#pending.values()) reject(reason)
    this.#pending.clear()
  }

  #post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer)
  }
}

const toError = ({ code, message }: Failure): AppError => new AppError(code, message)

const threadEnded = (detail: string, cause?: unknown): AppError =>
  new AppError(
    'INTERNAL',
    `The thread of the vector index ended unexpectedly (${detail}). Restart Earshot.`,
    { cause },
  )
