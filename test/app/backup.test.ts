import assert from 'node:assert/strict'
import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { backUp, restore } from '../../src/app/backup.js'
import { openApp } from '../../src/app.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { search } from '../../src/search/search.js'
import { opened } from '../opened.js'
import { fixture, temporaryApp, temporaryDir, testConfig } from '../workplace.js'
import { anotherBundle } from './bundles.js'

const QUERY = {
  query: { kind: 'file', file: await opened(fixture('sound_guit_e_slide.opus')) },
  limit: 5,
} as const
const FRESH = { force: false }

it('restores a library from one file that was written during use', async (test) => {
  const app = await temporaryApp(test)
  const dir = await temporaryDir(test)
  const file = join(dir, 'library.earshot')
  for (const name of ['guitar_cc0.mp4', 'photo_dog.webp']) await ingestFile(fixture(name), app)
  const clips = await app.gallery.catalogue.clips({ limit: 10 })
  const { hits } = await search(QUERY, app)

  await backUp(app.config, file)
  await ingestFile(fixture('photo_cat.webp'), app)
  const config = testConfig(join(dir, 'elsewhere'))
  await restore(config, file, FRESH)

  await using restored = await openApp(config)
  assert.deepEqual(await restored.gallery.catalogue.clips({ limit: 10 }), clips)
  assert.deepEqual((await search(QUERY, restored)).hits, hits)
  assert.equal((await restored.gallery.check()).whole, true)
  assert.deepEqual(readdirSync(dir).sort(), ['elsewhere', 'library.earshot'])
})

it('replaces a library only on request and only if no process writes to it', async (test) => {
  const dir = await temporaryDir(test)
  const config = testConfig(join(dir, 'data'))
  const file = join(dir, 'library.earshot')
  {
    await using app = await openApp(config)
    await ingestFile(fixture('photo_dog.webp'), app)
    await backUp(config, file)
    await ingestFile(fixture('photo_cat.webp'), app)
    await assert.rejects(restore(config, file, { force: true }), { code: 'DATA_LOCKED' })
  }
  await assert.rejects(restore(config, file, FRESH), { code: 'DATA_NOT_EMPTY' })

  await restore(config, file, { force: true })

  await using app = await openApp(config)
  await ingestFile(fixture('photo_pig.webp'), app)
  assert.equal((await app.gallery.catalogue.counts()).clips, 2)
  assert.equal((await app.gallery.check()).whole, true)
  assert.equal(existsSync(join(config.library.dataDir, 'catalogue.sqlite')), false)
})

it('refuses what is no backup, a damaged one, and one of another bundle', async (test) => {
  const app = await temporaryApp(test)
  const dir = await temporaryDir(test)
  await ingestFile(fixture('photo_dog.webp'), app)
  const whole = join(dir, 'whole')
  const cut = join(dir, 'cut')
  await backUp(app.config, whole)
  await backUp(app.config, cut)
  truncateSync(cut, 40_000)
  writeFileSync(join(dir, 'text'), 'no backup')
  const config = testConfig(join(dir, 'data'))
  const otherConfig = testConfig(join(dir, 'data'), { EARSHOT_BUNDLE: anotherBundle(dir) })

  for (const file of [cut, join(dir, 'text'), join(dir, 'nothing')]) {
    await assert.rejects(restore(config, file, FRESH), { code: 'BACKUP_INVALID' }, file)
  }
  await assert.rejects(restore(otherConfig, whole, FRESH), { code: 'FINGERPRINT_MISMATCH' })
  await assert.rejects(backUp(app.config, whole), { code: 'USAGE' })
  assert.equal(existsSync(join(dir, 'data')), false)
})
