import assert from 'node:assert/strict'
import { cpSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { newClipKey } from '../../src/gallery/catalogue/clip-id.js'
import { putClip } from '../../src/gallery/catalogue/write-clips.js'
import { migrate } from '../../src/gallery/sqlite/migrate.js'
import { SqliteCatalogue } from '../../src/gallery/sqlite/sqlite-catalogue.js'
import { jobRequest } from '../../src/ingest/scan/job-request.js'
import type { JobId } from '../../src/jobs/jobs.js'
import { catalogueContract, newClip, segment } from '../contract/catalogue.js'
import { HEADER, logOrderContract } from '../contract/log-order.js'
import { MIGRATIONS_DIR, newDir, openCatalogue } from './places.js'

const STAMP = { fingerprint: 'f'.repeat(64), dimension: 4 }

catalogueContract('sqlite', async () => {
  const dir = newDir()
  return (stamp) => openCatalogue(dir, stamp)
})

const shared = newDir()
logOrderContract('sqlite', () => openCatalogue(shared, HEADER), {
  script: fileURLToPath(new URL('log-writer.js', import.meta.url)),
  args: [shared],
})

describe('the sqlite file', () => {
  it('is migrated forward, once, with what is in it', async () => {
    const dir = newDir()
    const migrationsDir = join(dir, 'migrations')
    cpSync(MIGRATIONS_DIR, migrationsDir, { recursive: true })
    const open = () =>
      SqliteCatalogue.open({ file: join(dir, 'catalogue.db'), migrationsDir, header: STAMP })
    {
      await using before = await open()
      await putClip(before, newClip('/a'), [segment(0)])
    }
    writeFileSync(
      join(migrationsDir, '998-more.sql'),
      "ALTER TABLE clips ADD COLUMN mood TEXT DEFAULT 'good'",
    )
    for (let i = 0; i < 2; i++) {
      await using after = await open()
      assert.equal((await after.counts()).clips, 1)
    }

    const db = new Database(join(dir, 'catalogue.db'), { readonly: true })
    assert.deepEqual(db.prepare('SELECT mood FROM clips').all(), [{ mood: 'good' }])
    assert.equal(db.pragma('user_version', { simple: true }), 998)
    db.close()
  })

  it('is left as it was when a migration fails', async () => {
    const dir = newDir()
    const migrationsDir = join(dir, 'migrations')
    cpSync(MIGRATIONS_DIR, migrationsDir, { recursive: true })
    await (await openCatalogue(dir, STAMP))[Symbol.asyncDispose]()
    writeFileSync(join(migrationsDir, '998-bad.sql'), 'CREATE TABLE half (a); CREATE TABLE broken')

    await assert.rejects(
      SqliteCatalogue.open({ file: join(dir, 'catalogue.db'), migrationsDir, header: STAMP }),
    )
    const db = new Database(join(dir, 'catalogue.db'), { readonly: true })

    assert.equal(
      db.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'half'").pluck().get(),
      0,
    )
    db.close()
  })

  it('of an earlier Earshot keeps what it has, and refuses what a retired one must', async () => {
    const dir = newDir()
    const migrationsDir = join(dir, 'migrations')
    const isOld = (file: string) => !(basename(file) > '004')
    cpSync(MIGRATIONS_DIR, migrationsDir, {
      recursive: true,
      filter: (file) => file === MIGRATIONS_DIR || isOld(file),
    })
    const db = new Database(join(dir, 'catalogue.db'))
    migrate(db, migrationsDir)
    db.prepare('INSERT INTO stamp (only, fingerprint, dimension) VALUES (1, ?, ?)').run(
      STAMP.fingerprint,
      STAMP.dimension,
    )
    db.exec(
      `INSERT INTO clips (key, path, hash, bytes, mtime_ms, seconds, has_audio, has_visual,
                          notes, indexed_at)
       VALUES ('k', '/a', 'f', 1, 1, 1, 1, 0, '[]', '2026-01-01T00:00:00.000Z')`,
    )
    const request = JSON.stringify(jobRequest(['/a']))
    const made = db.prepare(
      `INSERT INTO jobs (request, mode, state, created_at)
       VALUES (?, 'changed', 'queued', '2026-01-01T00:00:00.000Z') RETURNING number`,
    )
    const { number: job } = made.get(request) as { number: JobId }
    db.exec(
      `INSERT INTO failures
       VALUES ('/odd', 'FILE_NAME_INVALID', 'no UTF-8', 0, 0, '2026-01-01T00:00:00.000Z')`,
    )
    db.exec("UPDATE stamp SET successor = 'another'")
    assert.equal(db.pragma('user_version', { simple: true }), 3)
    db.close()

    await using after = await openCatalogue(dir, STAMP)

    const { clips, failures } = await after.counts()
    assert.deepEqual([clips, failures, (await after.jobs.job(job)).state], [1, 0, 'queued'])
    await assert.rejects(after.jobs.create(jobRequest(['/b'])), { code: 'GALLERY_RETIRED' })
    await assert.rejects(after.jobs.cancel(job), { code: 'GALLERY_RETIRED' })
    await assert.rejects(putClip(after, newClip('/b'), [segment(0)]), { code: 'GALLERY_RETIRED' })
  })

  it('of a newer Earshot is refused', async () => {
    const dir = newDir()
    await (await openCatalogue(dir, STAMP))[Symbol.asyncDispose]()
    const db = new Database(join(dir, 'catalogue.db'))
    db.pragma('user_version = 999')
    db.close()

    await assert.rejects(openCatalogue(dir, STAMP), { code: 'CATALOGUE_NEWER' })
  })

  it('is in WAL mode, where readers do not wait for a writer', async () => {
    const dir = newDir()
    await using _ = await openCatalogue(dir, STAMP)
    const db = new Database(join(dir, 'catalogue.db'))

    assert.equal(db.pragma('journal_mode', { simple: true }), 'wal')
    db.close()
  })

  it('gives clips keys that are not seen twice', () => {
    assert.equal(new Set(Array.from({ length: 10_000 }, newClipKey)).size, 10_000)
  })
})
