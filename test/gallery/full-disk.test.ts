import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { newDir } from './places.js'

const WRITER = fileURLToPath(new URL('full-disk.js', import.meta.url))

/** Runs a shell line where a disk of 4 MB is mounted at `dir`, for it alone. */
function onSmallDisk(dir: string, line: string) {
  const mounted = `mount -t tmpfs -o size=4m none '${dir}' && ${line}`
  return spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', mounted], { encoding: 'utf8' })
}

it('stops by name when the disk is full, loses nothing, and goes on when there is room', (test) => {
  const dir = newDir()
  if (onSmallDisk(dir, 'true').status !== 0) return test.skip('this system lets no test mount a disk of its own')

  const { stdout, stderr } = onSmallDisk(dir, `'${process.execPath}' '${WRITER}' '${dir}'`)

  assert.notEqual(stdout, '', stderr)
  const [told = ''] = stdout.split('\n') // the test runner adds lines of its own
  const { clips, ...found } = JSON.parse(told)
  assert.ok(clips > 0)
  assert.deepEqual(found, { code: 'DISK_FULL', kept: clips, integrity: 'ok', searchable: true, whole: true })
})
