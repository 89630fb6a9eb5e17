import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { spawnProcess } from '../../src/media/process/spawn.js'

const onLinux = {
  skip: process.platform === 'linux' ? false : 'other systems have no spawn server',
}

describe('a spawned process', () => {
  it('delivers each of its outputs completely, and its exit code', async () => {
    const script =
      'head -c 3000000 /dev/zero; printf text >&2; head -c 5000000 /dev/zero >&3; exit 7'
    const { outputs, ended } = await spawnProcess('/bin/sh', ['-c', script])
    const [one, two, three] = outputs

    const received = await Promise.all([buffer(one), text(two), buffer(three)])

    assert.deepEqual(
      [received[0].length, received[1], received[2].length],
      [3_000_000, 'text', 5_000_000],
    )
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

  it('is killed together with its children', async () => {
    const { ended, kill } = await spawnProcess('/bin/sh', ['-c', 'sleep 71234 & wait'])

    kill()

    assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' })
    assert.equal(await isRunning('sleep 71234'), false)
  })

  it('rejects with the error of the system if it cannot be run', async () => {
    await assert.rejects(spawnProcess('/nowhere/ffmpeg', []), { code: 'ENOENT' })
    await assert.rejects(spawnProcess('/etc/passwd', []), { code: 'EACCES' })
  })

  it('exits soon after the process that spawned it was killed', onLinux, async () => {
    const module = new URL('../../src/media/process/spawn.js', import.meta.url)
    const script =
      `import { spawnProcess } from '${module}'; ` +
      "await spawnProcess('/bin/sleep', ['71235']); console.log('runs')"
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(parent.stdout, 'data')
    assert.equal(await isRunning('sleep 71235'), true)

    parent.kill('SIGKILL')

    for (let tries = 0; (await isRunning('sleep 71235')) && tries < 100; tries++)
      await setTimeout(50)
    assert.equal(await isRunning('sleep 71235'), false)
  })

  it(
    'does not keep the spawn server alive if the parent exits before the start',
    onLinux,
    async () => {
      const module = new URL('../../src/media/process/spawn.js', import.meta.url)
      for (const ms of [0, 20, 40, 60]) {
        const script =
          `import { spawnProcess } from '${module}'; ` +
          `void spawnProcess('/bin/sleep', ['1']); setTimeout(process.exit, ${ms})`
        await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
      }

      for (let tries = 0; (await orphans()) > 0 && tries < 100; tries++) await setTimeout(50)
      assert.equal(await orphans(), 0)
    },
  )

  it(
    'counts as killed if the spawn server is killed, and the next one starts another server',
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

/** Returns whether a process has this command line. */
async function isRunning(command: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'args='])
  return stdout.split('\n').some((line) => line.endsWith(command))
}

/** Returns the number of spawn servers whose parent has exited. */
async function orphans(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'ppid=,args='])
  return stdout.split('\n').filter((line) => /^\s*1 .*spawn-server-main/.test(line)).length
}
