import { parentPort, workerData } from 'node:worker_threads'
import type { BatchInput, Close, WorkerMessage, WorkerStart } from './protocol.js'
import { openSessions, runBatch, type Sessions } from './session.js'

// `run` of onnxruntime-node blocks its thread, so it has a thread of its own.
if (!parentPort) throw new Error('worker.ts runs as a worker thread only')
const port = parentPort

const opened = await openSessions(workerData as WorkerStart)
if (opened.sessions) {
  const { sessions } = opened
  let running: Promise<void> = Promise.resolve()
  port.on('message', (message: BatchInput | Close) => {
    running = 'modality' in message ? running.then(() => answer(sessions, message)) : running.then(() => port.close())
  })
  say({ type: 'ready', providers: opened.report })
} else {
  say({ type: 'unready', refused: opened.refused })
}

async function answer(sessions: Sessions, input: BatchInput): Promise<void> {
  try {
    const output = await runBatch(sessions, input)
    const buffers = [output.embeddings.buffer, output.logits?.buffer]
    say(
      { type: 'done', output },
      buffers.filter((buffer) => buffer instanceof ArrayBuffer),
    )
  } catch (error) {
    say({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

function say(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
