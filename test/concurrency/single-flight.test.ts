import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { SingleFlight } from '../../src/concurrency/single-flight.js'

describe('a single flight', () => {
  it('runs equal work once, and other work in parallel', async () => {
    const flights = new SingleFlight()
    let runs = 0
    const work = async () => {
      await setImmediate()
      return ++runs
    }

    const same = await Promise.all([1, 2, 3].map(() => flights.join('a', undefined, work)))
    const later = await flights.join('a', undefined, work)

    assert.deepEqual([same, later], [[1, 1, 1], 2])
  })

  it('gives its failure to all who asked, and starts again for the next', async () => {
    const flights = new SingleFlight()
    const fail = async () => {
      throw new Error('broken')
    }

    const settled = await Promise.allSettled([1, 2].map(() => flights.join('a', undefined, fail)))

    assert.deepEqual(new Set(settled.map(({ status }) => status)), new Set(['rejected']))
    assert.equal(await flights.join('a', undefined, async () => 'fine'), 'fine')
  })

  it('continues for the remaining callers, and aborts with the last', async () => {
    const flights = new SingleFlight()
    const [one, two] = [new AbortController(), new AbortController()]
    let signal: AbortSignal | undefined
    let end = () => {}
    const work = (given: AbortSignal) => {
      signal = given
      return new Promise<string>((resolve, reject) => {
        end = () => resolve('done')
        given.addEventListener('abort', () => reject(given.reason))
      })
    }
    const joined = [one, two].map(({ signal }) => flights.join('a', signal, work))
    await setImmediate()

    one.abort(new Error('left'))
    assert.equal(signal?.aborted, false)
    end()
    assert.deepEqual(await Promise.all(joined), ['done', 'done'])

    const both = [new AbortController(), new AbortController()]
    const lost = both.map(({ signal }) => flights.join('a', signal, work))
    await setImmediate()
    for (const caller of both) caller.abort(new Error('left'))
    for (const answer of lost) await assert.rejects(answer, /left/)
    assert.equal(signal?.aborted, true)
  })
})
