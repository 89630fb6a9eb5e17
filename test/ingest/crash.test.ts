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
import type { Job } from '../../src/jobs/jobs.js'
import { start } from '../cli/earshot.js'
import { freshlySeeded } from '../contract/vectors.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'
import { tone } from './tone.js'

const CRASHES = Number(process.env.EARSHOT_CRASHES ?? 10) // 100 in `npm run test:long`
const FILES = 16 // number of files at the start
const FILES_A_CRASH = 5 // added before each start, so that each process has work
const QUICK = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }
const LONGEST_MS = 700 // maximum time from the first output of a process to its kill

it(`is whole, with everything once, after ${CRASHES} kills at random instants`, async (test) => {
  const random = freshlySeeded(test)
  const dir = await temporaryDir(test)
  const dataDir = await temporaryDir(test)
  const files: Files = { good: [], bad: [] }
  await makeFiles(dir, FILES, files)
  const acknowledged = new Set<string>()
  // Killed processes leave their links in TMPDIR.
  const settings = { ...QUICK, TMPDIR: await temporaryDir(test) }
  const startIndexing = () =>
    start(['index', dir, '--data', dataDir, '--json', '--concurrency', '3'], settings)

  for (let crash = 0; crash < CRASHES; crash++) {
    await makeFiles(dir, FILES_A_CRASH, files)
    const child = startIndexing()
    const reading = readAcknowledged(child, acknowledged)
    if (crash % 5 === 4)
      await setTimeout(random() * 2000) // sometimes kills it during its start
    else await Promise.race([once(child.stderr, 'data'), once(child, 'exit')])
    await setTimeout(random() * LONGEST_MS)
    child.kill('SIGKILL')
    await reading
    checkCatalogue(join(dataDir, 'catalogue.sqlite'), acknowledged)
  }
  await readAcknowledged(startIndexing(), acknowledged)

  await using app = await openApp(testConfig(dataDir, QUICK))
  const { catalogue } = app.gallery
  const { good, bad } = files
  const clips = await catalogue.clips({ limit: 10_000 })
  assert.deepEqual(new Set(clips.map(({ path }) => path)), new Set(good))
  assert.equal(clips.length, good.length)
  const failures = await catalogue.failures({ limit: 10_000 })
  assert.deepEqual(new Set(failures.map(({ path }) => path)), new Set(bad))
  assert.equal((await app.gallery.check()).whole, true)
  // A job continues at the next start, unless it ends just before the kill.
  const jobs = await catalogue.jobs.jobs({ limit: 1000 })
  const sum = (count: (job: Job) => number) => jobs.reduce((total, job) => total + count(job), 0)
  assert.ok(
    jobs.every(({ state }) => state === 'succeeded' || state === 'partial' || state === 'failed'),
  )
  assert.equal(
    sum(({ counts }) => counts.indexed + counts.copied),
    good.length,
  )
  assert.equal(
    sum(({ reasons }) => reasons.MEDIA_EMPTY ?? 0),
    bad.length,
  )
})

interface Files {
  readonly good: string[]
  readonly bad: string[]
}

/** Adds different short sounds, some copies of them, and some empty files. */
async function makeFiles(dir: string, count: number, { good, bad }: Files): Promise<void> {
  const first = good.length + bad.length
  for (let i = first; i < first + count; i++) {
    const path = join(dir, `${String(i).padStart(4, '0')}.wav`)
    const model = good.at(-3)
    if (i % 10 === 7) bad.push(path)
    else good.push(path)
    if (i % 10 === 7) await writeFile(path, '')
    else if (i % 10 === 5 && model) await copyFile(model, path)
    else await writeFile(path, tone(200 + 7 * i))
  }
}

/** Adds the files that a process reports as indexed to a set, until the process ends. */
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
    for (const path of acknowledged)
      assert.ok(clips.has(path), `${path} was acknowledged and is lost`)
    const counted = 'SELECT coalesce(sum(items), 0) FROM item_counts'
    assert.equal(
      db.prepare(counted).pluck().get(),
      db.prepare('SELECT count(*) FROM items').pluck().get(),
    )
  } finally {
    db.close()
  }
}
