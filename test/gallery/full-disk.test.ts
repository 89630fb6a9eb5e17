import assert from 'node:assert/strict'
import { it } from 'node:test'
import { onSmallDisk } from '../small-disk.js'

it('stops by name on a full disk, loses nothing, and continues with free space', async (test) => {
  const outcome = await onSmallDisk<{ clips: number }>(
    test,
    new URL('full-disk.js', import.meta.url),
    4,
  )
  if (outcome === undefined) return

  const { clips, ...found } = outcome
  assert.ok(clips > 0)
  assert.deepEqual(found, {
    code: 'DISK_FULL',
    kept: clips,
    integrity: 'ok',
    searchable: true,
    whole: true,
  })
})
