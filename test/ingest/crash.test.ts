import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { openApp } from '../../src/app.js'
import { start } from '../cli/earshot.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'
import { tone } from './tone.js'

const CRASHES = Number(process.env.EARSHOT_CRASHES ?? 40)
const FILES = 16 + 2 * CRASHES // some are left when the last crash is over
const QUICK = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }
const LONGEST_MS = 700 // from the first file that a process has done to its end

it(`is whole, with everything once, after ${CRASHES} kills at random instants`, async (test) => {
  const dir = await temporaryDir(test)
  const dataDir = await temporaryDir(test)
  const { good, bad } = await makeFiles(dir)
  const acknowledged = new Set<string>()
  const startIndexing = () => start(['index', dir, '--data', dataDir, '--json', '--concurrency', '3'], QUICK)

  for (let crash = 0; crash < CRASHES; crash++) {
    const child = startIndexing()
    const reading = readAcknowledged(child, acknowledged)
    if (crash % 5 === 4)
      await setTimeout(Math.random() * 2000) // now and then, while it starts
    else await Promise.race([once(child.stderr, 'data'), once(child, 'exit')])
    await setTimeout(Math.random() * LONGEST_MS)
    child.kill('SIGKILL')
    await reading
    checkCatalogue(join(dataDir, 'catalogue.sqlite'), acknowledged)
  }
  await readAcknowledged(startIndexing(), acknowledged)

  await using app = await openApp(testConfig(dataDir, QUICK))
  const { catalogue } = app.gallery
  const clips = await catalogue.clips({ limit: 10_000 })
  assert.deepEqual(new Set(clips.map(({ path }) => path)), new Set(good))
  assert.equal(clips.length, good.length)
  const failures = await catalogue.failures({ limit: 10_000 })
  assert.deepEqual(new Set(failures.map(({ path }) => path)), new Set(bad))
  assert.equal((await app.gallery.check()).whole, true)
  const [job, ...others] = await catalogue.jobs.jobs({ limit: 10 })
  assert.deepEqual(others, [], 'each start went on with the same job')
  assert.equal(job?.state, 'partial')
  assert.equal(job.counts.indexed + job.counts.copied, good.length)
  assert.deepEqual(job.reasons, { MEDIA_EMPTY: bad.length })
})

/** Short sounds, no two alike but for some copies, and some files of no bytes. */
async function makeFiles(dir: string): Promise<{ good: string[]; bad: string[] }> {
  const good: string[] = []
  const bad: string[] = []
  for (let i = 0; i < FILES; i++) {
    const path = join(dir, `${String(i).padStart(4, '0')}.wav`)
    const model = good.at(-3)
    if (i % 10 === 7) bad.push(path)
    else good.push(path)
    if (i % 10 === 7) await writeFile(path, '')
    else if (i % 10 === 5 && model) await copyFile(model, path)
    else await writeFile(path, tone(200 + 7 * i))
  }
  return { good, bad }
}

/** What the process says that it has indexed, until it ends. */
async function readAcknowledged(child: ChildProcess, acknowledged: Set<string>): Promise<void> {
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
    const path = /^\d+\/\d+ (?:indexed|copied) (.+)$/.exec(line)?.[1]
    if (path) acknowledged.add(path)
  }
  await exited
}

function checkCatalogue(file: string, acknowledged: ReadonlySet<string>): void {
  const db = new Database(file)
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
    assert.deepEqual(db.pragma('foreign_key_check'), [])
    const paths = (sql: string) => new Set(db.prepare<[], string>(sql).pluck().all())
    const clips = paths('SELECT path FROM clips')
    assert.deepEqual(paths(`SELECT path FROM items WHERE state IN ('indexed', 'copied')`), clips)
    for (const path of acknowledged) assert.ok(clips.has(path), `${path} was acknowledged and is lost`)
    const counted = 'SELECT coalesce(sum(items), 0) FROM item_counts'
    assert.equal(db.prepare(counted).pluck().get(), db.prepare('SELECT count(*) FROM items').pluck().get())
  } finally {
    db.close()
  }
}
