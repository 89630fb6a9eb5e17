import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { type Bundle, loadBundle } from '../../src/encoder/bundle.js'
import { Encoder } from '../../src/encoder/encoder.js'
import { goldenSamples } from '../../src/encoder/golden.js'
import { eventually } from '../eventually.js'
import { fixture } from '../workplace.js'
import { Hang, isAlive, threadsOf } from './threads.js'

const QUERY = { priority: 'query' } as const
const RESTARTING = { code: 'ENCODER_RESTARTING' }

async function open(test: TestContext) {
  const bundle: { -readonly [Key in keyof Bundle]: Bundle[Key] } = {
    ...(await loadBundle(fixture('tiny-cavmae'))),
  }
  const encoder = await Encoder.open(bundle, { providers: ['cpu'], threads: 1 })
  test.after(() => encoder[Symbol.asyncDispose]())
  const encode = () => encoder.encodeAudio(goldenSamples(8_000, bundle.format), QUERY)
  const alive = () => eventually(() => encoder.isAvailable, Boolean)
  return { bundle, encoder, encode, alive }
}

describe('an encoder whose thread ended', () => {
  it('runs its work on the next thread, and refuses more work until then', async (test) => {
    const threads = threadsOf(test)
    const { encode, encoder } = await open(test)
    new Hang(threads[0] as Worker)
    const waiting = Promise.all(Array.from({ length: 20 }, encode))

    await threads[0]?.terminate()
    await eventually(
      () => encoder.isAvailable,
      (isAvailable) => !isAvailable,
    )

    await assert.rejects(encode(), RESTARTING)
    assert.equal((await waiting).length, 20)
    assert.deepEqual(threads.map(isAlive), [false, true])
  })

  it('retries a batch once', async (test) => {
    const hangs: Hang[] = []
    let goldenBatches = 0 // batches that check a thread
    const threads = threadsOf(test, (thread, before) => {
      if (before.length === 1) hangs.push(new Hang(thread, goldenBatches))
    })
    const { bundle, encode, alive } = await open(test)
    goldenBatches = Object.keys(bundle.golden).filter((name) => name !== 'atol').length
    new Hang(threads[0] as Worker)
    const encoded = assert.rejects(encode(), RESTARTING)

    await threads[0]?.terminate()
    await eventually(
      () => hangs[0]?.kept.length,
      (count) => count === 1,
    )
    await threads[1]?.terminate()

    await encoded
    await alive()
    await encode()
  })

  it('rejects what waits if the next thread fails', async (test) => {
    const threads = threadsOf(test)
    const { bundle, encode } = await open(test)
    new Hang(threads[0] as Worker)
    const waiting = encode()
    bundle.golden = { ...bundle.golden, atol: 1e-12 }

    await threads[0]?.terminate()

    await assert.rejects(waiting, RESTARTING)
  })

  it('is started again until it passes its golden check, one thread at a time', async (test) => {
    let most = 0
    const threads = threadsOf(test, (_, before) => {
      most = Math.max(most, before.filter(isAlive).length)
    })
    const { bundle, encode, alive } = await open(test)
    const { golden } = bundle
    bundle.golden = { ...golden, atol: 1e-12 }

    await threads[0]?.terminate()
    await eventually(
      () => threads.length,
      (count) => count === 3,
    )

    await assert.rejects(encode(), RESTARTING)
    bundle.golden = golden
    await alive()
    await encode()
    assert.equal(most, 0)
    assert.equal(threads.filter(isAlive).length, 1)
  })

  it('lets no work in while the new thread is checked', async (test) => {
    let hang: Hang | undefined
    const threads = threadsOf(test, (thread, before) => {
      if (before.length === 1) hang = new Hang(thread)
    })
    const { encode, encoder, alive } = await open(test)

    await threads[0]?.terminate()
    await eventually(
      () => hang?.kept.length,
      (count) => count === 1,
    )

    assert.equal(encoder.isAvailable, false)
    await assert.rejects(encode(), RESTARTING)
    hang?.release()
    await alive()
    await encode()
  })

  it('is started again where a thread ends before it is ready or checked', async (test) => {
    const threads = threadsOf(test, (thread, before) => {
      if (before.length === 1) void thread.terminate()
      if (before.length === 2) thread.once('message', () => thread.postMessage({ type: 'close' }))
    })
    const { encode, alive } = await open(test)

    await threads[0]?.terminate()
    await alive()

    await encode()
    assert.deepEqual(threads.map(isAlive), [false, false, false, true])
  })

  it('leaves no thread behind when it is closed meanwhile', async (test) => {
    const threads = threadsOf(test)
    const { encode, encoder } = await open(test)
    await threads[0]?.terminate()
    await eventually(
      () => threads.length,
      (count) => count === 2,
    )

    await encoder[Symbol.asyncDispose]()

    assert.deepEqual(threads.map(isAlive), [false, false])
    assert.equal(encoder.isAvailable, false)
    await assert.rejects(encode(), { code: 'ENCODER_FAILED' })
  })
})

it('says for how long a batch has run', async (test) => {
  const threads = threadsOf(test)
  const { encode, encoder } = await open(test)
  assert.equal(encoder.batchMs, 0)
  const hang = new Hang(threads[0] as Worker)

  const encoded = encode()
  await eventually(
    () => encoder.batchMs,
    (ms) => ms > 20,
  )
  hang.release()
  await encoded

  assert.equal(encoder.batchMs, 0)
})
