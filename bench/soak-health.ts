/** Polls the health of a server on a separate thread. Posts the response times in ms. */
import { setTimeout } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const { url } = workerData as { readonly url: string }
const ms: number[] = []
let isOver = false
parentPort?.once('message', () => {
  isOver = true
})
for (; !isOver; await setTimeout(50)) {
  const started = performance.now()
  await (await fetch(url)).text()
  ms.push(performance.now() - started)
}
parentPort?.postMessage(ms)
