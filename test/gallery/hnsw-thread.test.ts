import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { HnswIndex, type HnswOptions } from '../../src/gallery/hnsw/hnsw-index.js'
import { put, segments } from '../contract/vector-index.js'
import { randomUnit, seeded } from '../contract/vectors.js'
import { EXIT_CODE } from './exit-writer.js'
import { newDir } from './places.js'

const DIMENSION = 64
const LOST = /thread of the vector index ended/
const LOG = { historyTokenAt: async (seq: number) => `row ${seq}` }

describe('the thread of the hnsw index', () => {
  const random = seeded(1)
  const vectors = Array.from({ length: 2000 }, () => randomUnit(DIMENSION, random))
  const changes = vectors.map((vector, i) => put(i + 1, i + 1, vector))
  const query = { vector: randomUnit(DIMENSION, random), modality: 'audio', limit: 5 } as const
  const open = (more: Partial<HnswOptions> = {}) =>
    HnswIndex.open({ dir: newDir(), dimension: DIMENSION, fingerprint: 'one', log: LOG, ...more })

  it('answers queries while a page of 2000 changes is applied', async () => {
    await using index = await open()
    let isApplied = false
    const applying = index.apply(changes, 2000).then(() => {
      isApplied = true
    })

    const sizes: number[] = []
    while (!isApplied) {
      await index.nearest(query)
      sizes.push((await index.info()).sizes.audio)
    }
    await applying

    const between = sizes.filter((size) => size > 0 && size < 2000)
    assert.ok(between.length > 50, `${between.length} answers came while the page was applied`)
  })

  it('answers queries while a snapshot waits for the log', async () => {
    const { promise: token, resolve } = deferred<string>()
    await using index = await open({ snapshotAfter: 10, log: { historyTokenAt: () => token } })
    const applying = index.apply(changes.slice(0, 10), 10)
    while ((await index.info()).cursor < 10);

    const { neighbours } = await index.nearest(query)
    resolve('row')
    await applying

    assert.equal((await index.info()).saved, 10)
    assert.equal(neighbours.length, 5)
  })

  it('warns of a snapshot if the log fails, and keeps working', async (t) => {
    const warn = t.mock.method(process, 'emitWarning', () => {})
    const historyTokenAt = async () => {
      throw new Error('closed')
    }
    await using index = await open({ snapshotAfter: 10, log: { historyTokenAt } })

    await index.apply(changes.slice(0, 10), 10)

    assert.match(String(warn.mock.calls[0]?.arguments[0]), /No snapshot .* closed/)
    assert.equal((await index.nearest(query)).neighbours.length, 5)
  })

  it('rejects what is pending when it fails, and all that is asked later', async () => {
    const started = once(process, 'worker') as Promise<[Worker]>
    await using index = await open()
    const [worker] = await started
    const applying = index.apply(changes, 2000)
    worker.postMessage(null) // not a message of the protocol
    const pending = [applying, index.nearest(query), index.info()]

    const results = await Promise.allSettled(pending)

    for (const result of results) assert.match(String(reasonOf(result)), LOST)
    await assert.rejects(index.nearest(query), { code: 'INTERNAL', message: LOST })
    await assert.rejects(index.apply([], 2001), { code: 'INTERNAL', message: LOST })
  })

  it('rejects what is pending when it ends without an error', async () => {
    const started = once(process, 'worker') as Promise<[Worker]>
    const historyTokenAt = () => new Promise<string>(() => {}) // keeps the thread idle
    await using index = await open({ snapshotAfter: 10, log: { historyTokenAt } })
    const [worker] = await started
    const applying = index.apply(changes.slice(0, 10), 10)
    while ((await index.info()).cursor < 10);
    const rejected = assert.rejects(applying, { code: 'INTERNAL', message: LOST })

    await worker.terminate()

    await rejected
  })

  it('does not abort a process that exits while changes are applied', async () => {
    const script = fileURLToPath(new URL('./exit-writer.js', import.meta.url))
    const run = promisify(execFile)
    for (const delayMs of ['5', '10', '15', '20', '25', '30', '35', '40']) {
      const exited = run(process.execPath, [script, newDir(), delayMs])
      await assert.rejects(exited, { code: EXIT_CODE })
    }
  })

  it('rejects a query that is aborted while it waits, and ignores its answer', async () => {
    await using index = await open()
    const aborted = new AbortController()
    const applying = index.apply(changes, 2000)
    const waiting = assert.rejects(index.nearest(query, aborted.signal), { name: 'AbortError' })

    aborted.abort()

    await waiting
    await applying
    const { vector } = changes[6] as { vector: (typeof vectors)[number] }
    assert.deepEqual(
      segments((await index.nearest({ ...query, vector, limit: 1 })).neighbours),
      [7],
    )
  })

  it('refuses a page with a vector of another size, and keeps working', async () => {
    await using index = await open()
    const wrong = put(1, 1, randomUnit(DIMENSION + 1, random))

    await assert.rejects(index.apply([wrong], 1), { code: 'EMBEDDING_SIZE' })
    await index.apply(changes.slice(0, 3), 3)

    assert.equal((await index.info()).sizes.audio, 3)
  })

  it('refuses what is asked once the index is closed', async () => {
    const index = await open()
    await index[Symbol.asyncDispose]()

    await assert.rejects(index.nearest(query), { code: 'INTERNAL', message: /closed/ })
  })
})

const reasonOf = (result: PromiseSettledResult<unknown>): unknown =>
  result.status === 'rejected' ? result.reason : undefined

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
