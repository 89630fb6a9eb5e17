import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import { lockFolder } from '../../src/gallery/sqlite/lock.js'
import { newDir } from './places.js'

const MODULE = new URL('../../src/gallery/sqlite/lock.js', import.meta.url).href
const HOLD = `
  import { lockFolder } from ${JSON.stringify(MODULE)}
  await lockFolder(process.argv[1])
  console.log('held')
  setInterval(() => {}, 1000)`

it('refuses a second writer by the name of the first, until that is killed', async () => {
  const dir = newDir()
  const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLD, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')

  await assert.rejects(lockFolder(dir), {
    code: 'DATA_LOCKED',
    message: new RegExp(`process ${holder.pid} on `),
  })
  const waiting = lockFolder(dir, { waitMs: 60_000 })
  holder.kill('SIGKILL')

  await using _lock = await waiting
  await assert.rejects(lockFolder(dir), {
    code: 'DATA_LOCKED',
    message: new RegExp(`process ${process.pid} on `),
  })
})

it('is given back when it is disposed of', async () => {
  const dir = newDir()
  for (let i = 0; i < 3; i++) {
    await using _lock = await lockFolder(dir)
  }
})
