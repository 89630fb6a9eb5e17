import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { tone } from './tone.js'

const FILES = 3
const ROOM = 2 // free descriptors: enough to read a file, too few to start ffmpeg

it('blames no file if the system has no free descriptors, and continues later', async (test) => {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const dir = await temporaryDir(test)
  for (let i = 0; i < FILES; i++) await writeFile(join(dir, `${i}.wav`), tone(200 + 50 * i))
  const limit = execFileSync('prlimit', [
    '--pid',
    String(process.pid),
    '--nofile',
    '-o',
    'SOFT',
    '--noheadings',
  ])
  const setLimit = (files: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:`])
  test.after(() => setLimit(String(limit).trim()))
  const ingest = () =>
    ingestPaths([dir], app, { concurrency: FILES, onWarning: () => {}, onProgress: () => {} })

  // The test closes these files to be able to raise the limit again.
  const spare = Array.from({ length: 32 }, () => openSync('/dev/null', 'r'))
  setLimit(String(readdirSync('/proc/self/fd').length + ROOM))
  const filling = openAll()
  for (const file of filling.splice(-ROOM)) closeSync(file)
  const scarce = await ingest()
  for (const file of [...spare, ...filling]) closeSync(file)
  setLimit(String(limit).trim())
  const plenty = await ingest()

  assert.deepEqual(
    scarce.failed.map(({ code, detail }) => (code === 'SYSTEM_BUSY' ? code : detail)),
    Array(FILES).fill('SYSTEM_BUSY'),
  )
  assert.deepEqual([plenty.indexed, plenty.failed], [FILES, []])
  assert.equal((await app.gallery.check()).whole, true)
})

/** Opens files until the system refuses. */
function openAll(): number[] {
  const files: number[] = []
  try {
    for (;;) files.push(openSync('/dev/null', 'r'))
  } catch {
    return files
  }
}
