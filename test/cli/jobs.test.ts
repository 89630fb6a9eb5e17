import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ClipPage } from '../../src/http/schemas.js'
import { fixture, temporaryDir } from '../workplace.js'
import { earshot, start } from './earshot.js'

const SOUNDS = [
  'sound_perc_bell.opus',
  'sound_misc_crow.opus',
  'sound_guit_e_slide.opus',
  'sound_ambi_piano.opus',
]

it('pauses a job at Ctrl-C, and continues it with the same command', async (test) => {
  const dir = await temporaryDir(test)
  for (const name of SOUNDS) await copyFile(fixture(name), join(dir, name))
  const json = ['--json', '--data', await temporaryDir(test)]

  const child = start(['index', dir, '--concurrency', '1', ...json])
  const exited = once(child, 'close')
  let stdout = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  await once(child.stderr, 'data')
  child.kill('SIGINT')
  const [code] = await exited
  const [paused] = JSON.parse((await earshot('jobs', ...json)).stdout)
  const again = JSON.parse((await earshot('index', dir, ...json)).stdout)

  assert.equal(code, 130)
  assert.equal(JSON.parse(stdout).job, paused.id)
  assert.equal(paused.state, 'paused')
  assert.ok(paused.counts.indexed >= 1 && paused.counts.queued >= 1, JSON.stringify(paused.counts))
  assert.deepEqual([again.job, again.indexed], [paused.id, SOUNDS.length])
})

it('shows jobs and the library, retries failed files and prunes', async (test) => {
  const dir = await temporaryDir(test)
  const bad = join(dir, 'bad.opus')
  await copyFile(fixture('bad_empty.mp4'), bad)
  for (const name of SOUNDS.slice(0, 2)) await copyFile(fixture(name), join(dir, name))
  const data = ['--data', await temporaryDir(test)]
  const json = ['--json', ...data]

  const dry = JSON.parse(
    (await earshot('index', dir, '--dry-run', '--ignore', '*crow*', ...json)).stdout,
  )
  assert.deepEqual([dry.todo, dry.unchanged], [[bad, join(dir, SOUNDS[0] ?? '')], 0])
  const { job } = JSON.parse((await earshot('index', dir, ...json)).stdout)

  assert.match((await earshot('jobs', ...data)).stdout, /partial +2 +0 +1 +0/)
  assert.match(
    (await earshot('jobs', 'show', String(job), ...data)).stdout,
    /MEDIA_EMPTY .*bad\.opus/,
  )
  const wrong = await earshot('jobs', 'pause', String(job), ...json)
  assert.equal(JSON.parse(wrong.stdout).code, 'JOB_STATE')

  const { roots, quarantine } = JSON.parse((await earshot('library', ...json)).stdout)
  assert.deepEqual(roots, [{ path: dir, clips: 2, isOffline: false }])
  assert.equal(quarantine[0].path, bad)
  await copyFile(fixture('sound_perc_door.opus'), bad)
  assert.match((await earshot('library', 'retry', ...data)).stdout, /1 mended, 0 failed/)

  await rm(bad)
  await earshot('index', dir, ...json)
  assert.match((await earshot('library', ...data)).stdout, /since .*file\n.*bad\.opus/)
  assert.deepEqual(JSON.parse((await earshot('library', 'prune', ...json)).stdout), { pruned: 1 })
})

it('runs jobs in the background, and continues them after SIGKILL', async (test) => {
  const dir = await temporaryDir(test)
  const watched = await temporaryDir(test)
  for (const name of SOUNDS) await copyFile(fixture(name), join(dir, name))
  await copyFile(fixture('sound_perc_door.opus'), join(watched, 'watched.opus'))
  const env = { EARSHOT_ROOTS: dir, EARSHOT_WATCH: watched, EARSHOT_DATA: await temporaryDir(test) }
  const serving = async () => {
    const child = start(['serve', '--port', '0', '--json'], env)
    const [line] = await once(child.stdout, 'data')
    return { child, url: JSON.parse(String(line)).url as string, exited: once(child, 'close') }
  }
  const paths = async (url: string) => {
    const { clips } = ClipPage.parse(await (await fetch(`${url}/v1/clips`)).json())
    return clips.map(({ path }) => path).sort()
  }

  const first = await serving()
  const answer = await fetch(`${first.url}/v1/jobs`, {
    method: 'POST',
    body: JSON.stringify({ sources: [dir] }),
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(answer.status, 202)
  first.child.kill('SIGKILL')
  await first.exited
  const second = await serving()
  const expected = [...SOUNDS.map((name) => join(dir, name)), join(watched, 'watched.opus')].sort()
  while ((await paths(second.url)).length < expected.length) await setTimeout(100)
  assert.deepEqual(await paths(second.url), expected)
  second.child.kill('SIGTERM')

  assert.deepEqual(await second.exited, [0, null])
})
