import assert from 'node:assert/strict'
import { it } from 'node:test'
import { onSmallDisk } from '../small-disk.js'
import type { Outcome } from './full-disk.js'

const DISK_MEGABYTES = 6

it('refuses uploads by name on a full disk and still removes clips', async (test) => {
  const outcome = await onSmallDisk<Outcome>(
    test,
    new URL('full-disk.js', import.meta.url),
    DISK_MEGABYTES,
  )
  if (outcome === undefined) return

  const refusal = { status: 507, type: 'application/problem+json', code: 'DISK_FULL' }
  assert.deepEqual(outcome, {
    answers: [refusal, refusal, refusal],
    left: [],
    removed: [204, 204],
    roomy: 201,
  })
})
