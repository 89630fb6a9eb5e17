import assert from 'node:assert/strict'
import { it } from 'node:test'
import { onSmallDisk } from '../small-disk.js'
import { DISK_MEGABYTES, FILES, type Outcome } from './full-disk.js'

it('pauses a job with a reason on a full disk, and continues with free space', async (test) => {
  const outcome = await onSmallDisk<Outcome>(
    test,
    new URL('full-disk.js', import.meta.url),
    DISK_MEGABYTES,
  )
  if (outcome === undefined) return

  const { full, kept, roomy, end } = outcome
  assert.deepEqual([full.exit, full.stop?.code], [3, 'DISK_FULL'])
  assert.ok(full.indexed > 0 && full.indexed < FILES, `${full.indexed} of ${FILES} were indexed`)
  assert.deepEqual(kept, {
    clips: full.indexed,
    integrity: 'ok',
    jobs: [{ state: 'paused', code: 'DISK_FULL' }],
  })
  assert.deepEqual([roomy.exit, roomy.stop, roomy.indexed], [0, null, FILES])
  assert.deepEqual([end.paths.length, new Set(end.paths).size], [FILES, FILES])
  assert.deepEqual([end.whole, end.jobs], [true, ['succeeded']])
})
