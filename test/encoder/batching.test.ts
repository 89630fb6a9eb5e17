import assert from 'node:assert/strict'
import { it } from 'node:test'
import { BatchQueue, MAX_BATCH } from '../../src/encoder/batching.js'

const item = (modality: 'audio' | 'visual', name: string) => ({ modality, name })
const names = (batch: { name: string }[]) => batch.map(({ name }) => name)

it('lets queries overtake ingestion', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  queue.push(item('audio', 'clip'), 'ingest')
  queue.push(item('audio', 'question'), 'query')

  assert.deepEqual(names(queue.take()), ['question'])
  assert.deepEqual(names(queue.take()), ['clip'])
  assert.deepEqual(queue.take(), [])
})

it('batches one modality at a time, the oldest first, and keeps the order of the rest', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  for (const [modality, name] of [
    ['visual', 'a'],
    ['audio', 'b'],
    ['visual', 'c'],
  ] as const) {
    queue.push(item(modality, name), 'ingest')
  }

  assert.deepEqual(names(queue.take()), ['a', 'c'])
  assert.deepEqual(names(queue.take()), ['b'])
})

it('takes no more than a batch holds', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  for (let i = 0; i <= MAX_BATCH.audio; i++) queue.push(item('audio', String(i)), 'ingest')

  assert.equal(queue.take().length, MAX_BATCH.audio)
  assert.equal(queue.take().length, 1)
})

it('drops what waits, not what is on its way', () => {
  const queue = new BatchQueue<ReturnType<typeof item>>()
  const waiting = item('audio', 'waiting')
  queue.push(waiting, 'ingest')

  assert.equal(queue.drop(waiting), true)
  assert.equal(queue.drop(waiting), false)
  assert.deepEqual(queue.take(), [])
})
