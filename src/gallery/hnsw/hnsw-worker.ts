import { parentPort, workerData } from 'node:worker_threads'
import { toAppError } from '../../errors.js'
import { type EngineHost, HnswEngine } from './engine.js'
import { ExitGate } from './exit-gate.js'
import { unpack } from './packed-changes.js'
import type { Call, Calls, FromWorker, HistoryToken, ToWorker, WorkerStart } from './protocol.js'

// hnswlib-node inserts and searches synchronously, so it runs in its own thread.
if (!parentPort) throw new Error('hnsw-worker.ts runs as a worker thread only')
const port = parentPort
const { options, exitState } = workerData as WorkerStart
const gate = new ExitGate(exitState)

const tokenRequests = new Map<number, (answer: HistoryToken) => void>()
let lastRequest = 0

const host: EngineHost = {
  pass: () => gate.pass(),
  warn: (message, warning) => send({ type: 'warn', message, warning }),
  historyTokenAt: async (seq) => {
    const id = ++lastRequest
    const { token, failure } = await new Promise<HistoryToken>((resolve) => {
      tokenRequests.set(id, resolve)
      send({ type: 'askHistoryToken', id, seq })
    })
    if (failure !== undefined) throw new Error(failure)
    return token
  },
}

const opening = HnswEngine.open(options, host)
opening.catch(() => {}) // each call rejects with this error
port.on('message', (message: ToWorker) => {
  if (message.type !== 'historyToken') return void answer(message)
  tokenRequests.get(message.id)?.(message)
  tokenRequests.delete(message.id)
})

async function answer(call: Call): Promise<void> {
  const { id } = call
  gate.pass()
  try {
    const result = await perform(await opening, call)
    send({ type: 'answered', id, answer: result }, buffersOf(result))
  } catch (error) {
    const { code, message } = toAppError(error)
    send({ type: 'failed', id, code, message })
  }
  if (call.type === 'close') port.close()
}

type Answer = Calls[keyof Calls]['answer']

function perform(engine: HnswEngine, call: Call): Answer | Promise<Answer> {
  switch (call.type) {
    case 'apply':
      return engine
        .apply(unpack(call.input, options.dimension), call.input.cursor)
        .then(() => undefined)
    case 'nearest':
      return nearest(engine, call.input)
    case 'holding':
      return Float64Array.from(engine.holding([...call.input.segments], call.input.modality))
    case 'info':
      return engine.info()
    case 'close':
      return engine.close().then(() => undefined)
  }
}

function nearest(engine: HnswEngine, query: Calls['nearest']['input']): Calls['nearest']['answer'] {
  const { neighbours, ...rest } = engine.nearest(query)
  const segments = Float64Array.from(neighbours, ({ segment }) => segment)
  const scores = Float64Array.from(neighbours, ({ score }) => score)
  return { segments, scores, ...rest }
}

/** Returns the buffers of an answer, for the transfer. */
function buffersOf(answer: Answer): ArrayBuffer[] {
  if (answer instanceof Float64Array) return [answer.buffer as ArrayBuffer]
  if (!answer || !('scores' in answer)) return []
  return [answer.segments.buffer, answer.scores.buffer] as ArrayBuffer[]
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
