import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Notifier } from '../../src/concurrency/notifier.js'

const LONG_MS = 60_000

describe('a notifier', () => {
  it('wakes everyone who waits', async () => {
    const notifier = new Notifier()
    const waiting = [1, 2].map(() => notifier.wait(notifier.count, LONG_MS))

    notifier.notify()

    await Promise.all(waiting)
    assert.equal(notifier.count, 1)
  })

  it('does not wait for an event that came since the count was read', async () => {
    const notifier = new Notifier()
    const { count } = notifier
    notifier.notify()

    await notifier.wait(count, LONG_MS)
  })

  it('stops waiting when the time is over or the signal aborts', async () => {
    const notifier = new Notifier()
    const stop = new AbortController()
    const waiting = notifier.wait(0, LONG_MS, stop.signal)

    await notifier.wait(0, 1)
    stop.abort()

    await waiting
    await notifier.wait(0, LONG_MS, stop.signal)
    assert.equal(notifier.count, 0)
  })

  it('calls a listener until its subscription ends', () => {
    const notifier = new Notifier()
    let calls = 0
    {
      using _ = notifier.subscribe(() => calls++)
      notifier.notify()
    }

    notifier.notify()

    assert.equal(calls, 1)
  })
})
