import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import { watchAndIngest } from '../../src/ingest/watch/watch-and-ingest.js'
import { temporaryApp, temporaryDir } from '../workplace.js'
import { tone } from './tone.js'

for (const [how, pollMs] of [
  ['by events', null],
  ['by polling', 100],
] as const) {
  it(`indexes a growing file once, and detects its move and removal, ${how}`, async (test) => {
    const app = await temporaryApp(test)
    const { catalogue } = app.gallery
    const dir = await temporaryDir(test)
    await writeFile(join(dir, 'there.wav'), tone(300))
    const stop = new AbortController()
    const options = {
      concurrency: 1,
      settleMs: 1500,
      rescanMs: 3_600_000,
      pollMs,
      except: [],
      onWarning: assert.fail,
    }
    const running = watchAndIngest(jobRequest([dir]), { ...app, signal: stop.signal }, options)
    const until = async (isSo: () => Promise<unknown>) => {
      while (!(await isSo())) await setTimeout(50)
    }

    await until(() => catalogue.clipAt(join(dir, 'there.wav')))
    const bytes = tone(440)
    await mkdir(join(dir, 'new'))
    const growing = join(dir, 'new', 'growing.wav')
    await writeFile(join(dir, 'whole'), bytes)
    await growSlowly(join(dir, 'whole'), growing)
    await until(() => catalogue.clipAt(growing))
    assert.equal((await catalogue.clipAt(growing))?.bytes, bytes.length)

    const moved = join(dir, 'moved.wav')
    const { id } = (await catalogue.clipAt(growing)) ?? {}
    await rename(growing, moved)
    await until(() => catalogue.clipAt(moved))
    assert.equal((await catalogue.clipAt(moved))?.id, id)

    await rm(moved)
    await until(async () => (await catalogue.files.missingClips({ limit: 1 })).length > 0)
    stop.abort()
    await running

    const items = []
    for (const job of await catalogue.jobs.jobs({ limit: 100 })) {
      items.push(...(await catalogue.jobs.items(job.id, { limit: 100 })))
    }
    const ends = items.map(({ path, state }) => `${state} ${path.slice(dir.length + 1)}`).sort()
    assert.deepEqual(ends, ['indexed new/growing.wav', 'indexed there.wav', 'moved moved.wav'])
  })
}

it('finds by its scans changes without an event', async (test) => {
  const app = await temporaryApp(test)
  const { catalogue } = app.gallery
  const dir = await temporaryDir(test)
  const stop = new AbortController()
  const never = { settleMs: 1000, pollMs: 3_600_000 }
  const options = { concurrency: 1, rescanMs: 1000, except: [], onWarning: assert.fail, ...never }
  const running = watchAndIngest(jobRequest([dir]), { ...app, signal: stop.signal }, options)

  while ((await catalogue.jobs.jobs({ limit: 9 })).every(({ state }) => state !== 'succeeded'))
    await setTimeout(50)
  await writeFile(join(dir, 'untold.wav'), tone(440))
  while (!(await catalogue.clipAt(join(dir, 'untold.wav')))) await setTimeout(50)
  stop.abort()

  await running
})

/** Copies a file in pieces in a separate process, because this process can block. */
async function growSlowly(from: string, to: string): Promise<void> {
  const script = `n=0
    while dd if="$1" bs=8000 skip=$n count=1 status=none | cat >> "$2"
      [ $(stat -c %s "$2") -lt $(stat -c %s "$1") ]
    do n=$((n + 1)); sleep 0.3; done`
  await promisify(execFile)('sh', ['-c', script, 'sh', from, to])
}
