import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { goldenSamples } from '../../src/encoder/golden.js'
import { Liveness, Readiness } from '../../src/http/health.js'
import type { HttpDeps } from '../../src/http/http-deps.js'
import { Hang, threadsOf } from '../encoder/threads.js'
import { fixture, temporaryApp } from '../workplace.js'

const working = { check: async () => {} } as unknown as HttpDeps['receiver']

/** Advances the clock by seconds. */
function clockOf(test: TestContext): (seconds: number) => void {
  const now = performance.now.bind(performance)
  let aheadMs = 0
  test.mock.method(performance, 'now', () => now() + aheadMs)
  return (seconds) => {
    aheadMs += 1000 * seconds
  }
}

it('tells that an encoder hangs', async (test) => {
  const threads = threadsOf(test)
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const failing = () => new Readiness({ app, receiver: working }).failing()
  const isStuck = async () => {
    using liveness = new Liveness(app)
    return await liveness.isStuck()
  }
  const goOn = clockOf(test)
  const hang = new Hang(threads[0] as Worker)
  const samples = goldenSamples(8_000, app.encoder.bundle.format)
  const encoded = app.encoder.encodeAudio(samples, { priority: 'query' })

  goOn(25)
  assert.deepEqual([await failing(), await isStuck()], [[], false])
  goOn(10)
  assert.deepEqual([await failing(), await isStuck()], [['encoder'], false])
  goOn(90)
  assert.deepEqual([await failing(), await isStuck()], [['encoder'], true])

  hang.release()
  await encoded
  assert.deepEqual([await failing(), await isStuck()], [[], false])
})

it('starts no check that still runs', async (test) => {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const check = test.mock.fn(() => new Promise<void>(() => {}))
  const receiver = { check } as unknown as HttpDeps['receiver']
  const readiness = new Readiness({ app, receiver })

  const answers = await Promise.all([readiness.failing(), readiness.failing()])

  assert.deepEqual(answers, [['uploads'], ['uploads']])
  assert.equal(check.mock.callCount(), 1)
})
