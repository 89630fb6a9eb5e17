import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Slots } from '../../src/ingest/slots.js'

test('slots let so many work at once, and those who wait in their order', async () => {
  const slots = new Slots(2)
  const begun: number[] = []
  const ends: (() => void)[] = []
  const work = async (name: number) => {
    using _slot = await slots.take()
    begun.push(name)
    await new Promise<void>((resolve) => {
      ends[name] = resolve
    })
  }
  const all = [0, 1, 2, 3].map(work)
  await setImmediate()
  assert.deepEqual(begun, [0, 1])
  ends[1]?.()
  await setImmediate()
  assert.deepEqual(begun, [0, 1, 2])
  ends[0]?.()
  await setImmediate()
  assert.deepEqual(begun, [0, 1, 2, 3])
  ends[2]?.()
  ends[3]?.()
  await Promise.all(all)
  const again = [4, 5, 6].map(work)
  await setImmediate()
  assert.deepEqual(begun.slice(4), [4, 5])
  for (const name of [4, 5, 6]) {
    ends[name]?.()
    await setImmediate()
  }
  await Promise.all(again)
  assert.deepEqual(begun.slice(4), [4, 5, 6])
})

test('a slot is free again when its work fails', async () => {
  const slots = new Slots(1)
  const fail = async () => {
    using _slot = await slots.take()
    throw new Error('of the work')
  }
  await assert.rejects(fail(), /of the work/)
  using slot = await slots.take()
  assert.ok(slot)
})
