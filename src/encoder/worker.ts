import { parentPort, workerData } from 'node:worker_threads'
import type { BatchInput, BatchOutput, Close, WorkerMessage, WorkerStart } from './protocol.js'
import { runBatch } from './run-batch.js'
import { openSessions, type Sessions } from './session.js'

// `run` of onnxruntime-node blocks its thread, so it runs in a separate one.
if (!parentPort) throw new Error('worker.ts runs as a worker thread only')
const port = parentPort

const opened = await openSessions(workerData as WorkerStart)
if (opened.sessions) {
  const { sessions } = opened
  let running: Promise<void> = Promise.resolve()
  port.on('message', (message: BatchInput | Close) => {
    running = running.then(() =>
      message.type === 'encode' ? runAndSend(sessions, message) : port.close(),
    )
  })
  send({ type: 'ready', providers: opened.report })
} else {
  send({ type: 'unready', refused: opened.refused })
}

async function runAndSend(sessions: Sessions, input: BatchInput): Promise<void> {
  try {
    const output = await runBatch(sessions, input)
    send({ type: 'done', output }, buffersOf(output))
  } catch (error) {
    send({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

function buffersOf({ audio, frames, joint }: BatchOutput): ArrayBuffer[] {
  const rows = [audio?.embeddings, audio?.logits, frames?.embeddings, frames?.logits, joint]
  // `floats` copies every output, so no buffer is shared memory.
  return rows.flatMap((values) => (values ? [values.buffer as ArrayBuffer] : []))
}

function send(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
