import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type BatchKind, BatchQueue, MAX_BATCH } from '../../src/encoder/batching.js'

const item = (kind: BatchKind, name: string) => ({ kind, name })
const names = (batch: { name: string }[]) => batch.map(({ name }) => name)

it('lets queries overtake ingestion', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  queue.push(item('sound', 'clip'), 'ingest')
  queue.push(item('sound', 'question'), 'query')

  assert.deepEqual(names(queue.take()), ['question'])
  assert.deepEqual(names(queue.take()), ['clip'])
  assert.deepEqual(queue.take(), [])
})

it('batches one kind at a time, the oldest first, and keeps the order of the rest', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  for (const [kind, name] of [
    ['frame', 'a'],
    ['sound', 'b'],
    ['frame', 'c'],
  ] as const) {
    queue.push(item(kind, name), 'ingest')
  }

  assert.deepEqual(names(queue.take()), ['a', 'c'])
  assert.deepEqual(names(queue.take()), ['b'])
})

it('takes no more than a batch holds', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  for (let i = 0; i <= MAX_BATCH.sound; i++) queue.push(item('sound', String(i)), 'ingest')

  assert.equal(queue.take().length, MAX_BATCH.sound)
  assert.equal(queue.take().length, 1)
})

it('drops what waits, not what is on its way', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  const waiting = item('sound', 'waiting')
  queue.push(waiting, 'ingest')

  assert.equal(queue.drop(waiting), true)
  assert.equal(queue.drop(waiting), false)
  assert.deepEqual(queue.take(), [])
})
