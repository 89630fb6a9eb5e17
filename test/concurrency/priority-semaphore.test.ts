import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { PrioritySemaphore, type WorkPriority } from '../../src/concurrency/priority-semaphore.js'

const LIMITS = { permits: 2, reservedForQueries: 0, queueLength: 2, queueMs: 10_000 }

/** Creates work that ends on request, and records the order of starts. */
function worker(semaphore: PrioritySemaphore) {
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const work = async (name: string, priority: WorkPriority, weight = 1) => {
    using _permit = await semaphore.acquire(priority, weight)
    begun.push(name)
    await new Promise<void>((resolve) => ends.set(name, resolve))
  }
  const end = async (name: string) => {
    ends.get(name)?.()
    await setImmediate()
  }
  return { begun, work, end }
}

describe('a priority semaphore', () => {
  it('limits parallel work, and admits queries before ingestion in order of arrival', async () => {
    const { begun, work, end } = worker(new PrioritySemaphore(LIMITS))
    const all = [work('a', 'ingest'), work('b', 'ingest'), work('c', 'ingest'), work('d', 'ingest')]
    all.push(work('q', 'query'), work('r', 'query'))
    await setImmediate()
    assert.deepEqual(begun, ['a', 'b'])

    for (const name of ['a', 'b', 'q', 'r', 'c', 'd']) await end(name)

    assert.deepEqual(begun, ['a', 'b', 'q', 'r', 'c', 'd'])
    await Promise.all(all)
  })

  it('keeps permits for queries, and refuses those that would wait behind too many', async () => {
    const semaphore = new PrioritySemaphore({ ...LIMITS, permits: 3, reservedForQueries: 1 })
    const { begun, work, end } = worker(semaphore)
    const all = [work('a', 'ingest'), work('b', 'ingest'), work('c', 'ingest'), work('q', 'query')]
    await setImmediate()
    assert.deepEqual(begun, ['a', 'b', 'q'])
    all.push(work('r', 'query'), work('s', 'query'))

    await assert.rejects(semaphore.acquire('query'), { code: 'SERVER_BUSY' })

    for (const name of ['a', 'b', 'q', 'r', 's', 'c']) await end(name)
    await Promise.all(all)
    assert.deepEqual(begun, ['a', 'b', 'q', 'r', 's', 'c'])
  })

  it('refuses a query that has waited for too long, and forgets one that is aborted', async () => {
    const semaphore = new PrioritySemaphore({ ...LIMITS, permits: 1, queueMs: 20 })
    const held = await semaphore.acquire('query')
    const abort = new AbortController()
    const aborted = semaphore.acquire('ingest', 1, abort.signal)
    abort.abort(new Error('left'))

    await assert.rejects(aborted, /left/)
    await assert.rejects(semaphore.acquire('query'), { code: 'SERVER_BUSY' })

    held[Symbol.dispose]()
    held[Symbol.dispose]()
    using _one = await semaphore.acquire('query')
    await assert.rejects(semaphore.acquire('query'), { code: 'SERVER_BUSY' })
  })

  it('lets nobody overtake the first who waits, however much that needs', async () => {
    const { begun, work, end } = worker(new PrioritySemaphore(LIMITS))
    const all = [work('one', 'query'), work('both', 'query', 2), work('next', 'query')]
    await setImmediate()
    assert.deepEqual(begun, ['one'])

    for (const name of ['one', 'both', 'next']) await end(name)

    assert.deepEqual(begun, ['one', 'both', 'next'])
    await Promise.all(all)
  })
})
