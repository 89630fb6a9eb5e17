import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { openApp } from '../../src/app.js'
import { PACKAGE_DIR } from '../../src/config.js'
import { ingestPaths } from '../../src/ingest/ingest-paths.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'

const CLI = join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js')
const SOUNDS = ['sound_perc_bell.opus', 'sound_misc_crow.opus', 'sound_ambi_piano.opus', 'sound_perc_door.opus']
const COPIES = 6

/** Starts `earshot index` and kills it when it has done `files` files. */
function killAfter(files: number, dir: string, dataDir: string): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CLI, 'index', dir, '--data', dataDir, '--json'], {
      env: { ...process.env, EARSHOT_PROVIDERS: 'cpu' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.on('data', (chunk) => {
      if (Number(/^(\d+)\//m.exec(String(chunk))?.[1]) >= files) child.kill('SIGKILL')
    })
    child.on('close', () => resolve())
  })
}

it('is whole, with nothing twice, after it was killed in the middle of indexing', async (test) => {
  const dir = await temporaryDir(test)
  const dataDir = await temporaryDir(test)
  for (let copy = 0; copy < COPIES; copy++) {
    for (const name of SOUNDS) await copyFile(fixture(name), join(dir, `${copy}_${name}`))
  }

  for (const files of [2, 7, 12]) await killAfter(files, dir, dataDir)

  await using app = await openApp(testConfig(dataDir))
  const before = await app.gallery.catalogue.counts()
  const report = await ingestPaths([dir], app, { concurrency: 2, onWarning: () => {}, onProgress: () => {} })
  assert.ok(before.clips > 0 && before.clips < SOUNDS.length * COPIES, `${before.clips} clips before the last run`)
  assert.equal(report.unchanged, before.clips)
  assert.equal(report.indexed, SOUNDS.length * COPIES - before.clips)
  const clips = await app.gallery.catalogue.clips({ limit: 200 })
  assert.equal(new Set(clips.map(({ path }) => path)).size, SOUNDS.length * COPIES)
  assert.equal(clips.length, SOUNDS.length * COPIES)
  assert.equal((await app.gallery.check()).whole, true)
})
