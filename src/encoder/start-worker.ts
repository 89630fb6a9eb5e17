import { Worker } from 'node:worker_threads'
import { AppError } from '../errors.js'
import type { ProviderReport, WorkerMessage, WorkerStart } from './protocol.js'
import { disableTelemetry } from './telemetry.js'

/** A worker thread with open graphs. */
export interface StartedWorker {
  readonly worker: Worker
  readonly providers: ProviderReport
  readonly ended: Promise<AppError> // resolves with the reason when the thread ends
}

/**
 * Starts a worker thread and waits for its graphs. Terminates the thread on failure. Throws
 * PROVIDER_UNAVAILABLE, ENCODER_FAILED.
 */
export async function startWorker(workerData: WorkerStart): Promise<StartedWorker> {
  disableTelemetry()
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData })
  const ended = endOf(worker)
  try {
    const first = await Promise.race([ready(worker), ended])
    if (first instanceof AppError) throw first
    return { worker, providers: first, ended }
  } catch (error) {
    await worker.terminate()
    throw error
  }
}

function endOf(worker: Worker): Promise<AppError> {
  return new Promise((resolve) => {
    let cause: unknown
    worker.once('error', (error) => {
      cause = error // 'exit' follows
    })
    worker.once('exit', (code) => {
      const detail = `The encoder thread ended: ${cause ?? `exit code ${code}`}`
      resolve(new AppError('ENCODER_FAILED', detail, { cause }))
    })
  })
}

function ready(worker: Worker): Promise<ProviderReport> {
  return new Promise((resolve, reject) => {
    worker.once('message', (message: WorkerMessage) => {
      if (message.type === 'ready') return resolve(message.providers)
      const refused = message.type === 'unready' ? message.refused : []
      const reasons = refused.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ')
      const detail = `Add cpu to EARSHOT_PROVIDERS. Tried: ${reasons}`
      reject(new AppError('PROVIDER_UNAVAILABLE', detail))
    })
  })
}
