import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { spawnProcess } from '../../src/media/process/spawn.js'

const onLinux = {
  skip: process.platform === 'linux' ? false : 'programs are started directly here',
}

describe('a program that is launched', () => {
  it('is heard by each of its outputs, whole, and by its exit code', async () => {
    const script =
      'head -c 3000000 /dev/zero; printf words >&2; head -c 5000000 /dev/zero >&3; exit 7'
    const { outputs, ended } = await spawnProcess('/bin/sh', ['-c', script])
    const [one, two, three] = outputs

    const heard = await Promise.all([buffer(one), text(two), buffer(three)])

    assert.deepEqual([heard[0].length, heard[1], heard[2].length], [3_000_000, 'words', 5_000_000])
    assert.deepEqual(await ended, { code: 7, signal: null })
  })

  it('waits for a slow reader', async () => {
    const { outputs, ended } = await spawnProcess('/bin/sh', [
      '-c',
      'head -c 20000000 /dev/zero >&3',
    ])
    await setTimeout(300)

    assert.equal(await Promise.race([ended, setTimeout(0, 'runs')]), 'runs')
    assert.equal((await buffer(outputs[2])).length, 20_000_000)
    for (const output of outputs) output.resume()
    assert.deepEqual(await ended, { code: 0, signal: null })
  })

  it('is killed with what it has started', async () => {
    const { ended, kill } = await spawnProcess('/bin/sh', ['-c', 'sleep 71234 & wait'])

    kill()

    assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' })
    assert.equal(await runs('sleep 71234'), false)
  })

  it('is refused by the code of the system where it cannot be run', async () => {
    await assert.rejects(spawnProcess('/nowhere/ffmpeg', []), { code: 'ENOENT' })
    await assert.rejects(spawnProcess('/etc/passwd', []), { code: 'EACCES' })
  })

  it('is gone soon after the process that asked for it was killed', onLinux, async () => {
    const module = new URL('../../src/media/process/spawn.js', import.meta.url)
    const script = `import { spawnProcess } from '${module}'; await spawnProcess('/bin/sleep', ['71235']); console.log('runs')`
    const asking = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(asking.stdout, 'data')
    assert.equal(await runs('sleep 71235'), true)

    asking.kill('SIGKILL')

    for (let tries = 0; (await runs('sleep 71235')) && tries < 100; tries++) await setTimeout(50)
    assert.equal(await runs('sleep 71235'), false)
  })

  it(
    'is not waited for by what starts programs, where who asked goes before it is heard',
    onLinux,
    async () => {
      const module = new URL('../../src/media/process/spawn.js', import.meta.url)
      for (const ms of [0, 20, 40, 60]) {
        const script = `import { spawnProcess } from '${module}'; void spawnProcess('/bin/sleep', ['1']); setTimeout(process.exit, ${ms})`
        await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
      }

      for (let tries = 0; (await orphans()) > 0 && tries < 100; tries++) await setTimeout(50)
      assert.equal(await orphans(), 0)
    },
  )

  it(
    'counts as killed where the process that starts programs is killed, and the next finds another',
    onLinux,
    async () => {
      const { ended } = await spawnProcess('/bin/sleep', ['71236'])

      await promisify(execFile)('pkill', [
        '-9',
        '-P',
        String(process.pid),
        '-f',
        'spawn-server-main',
      ])

      assert.deepEqual(await ended, { code: null, signal: null })
      const next = await spawnProcess('/bin/sh', ['-c', 'exit 3'])
      assert.equal((await next.ended).code, 3)
      await promisify(execFile)('pkill', ['-f', 'sleep 71236']).catch(() => {})
    },
  )
})

/** Whether there is a process of this command line. */
async function runs(command: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'args='])
  return stdout.split('\n').some((line) => line.endsWith(command))
}

/** Processes that start programs, and whose own has gone. */
async function orphans(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'ppid=,args='])
  return stdout.split('\n').filter((line) => /^\s*1 .*spawn-server-main/.test(line)).length
}
