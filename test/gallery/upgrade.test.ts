import assert from 'node:assert/strict'
import { cpSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import Database from 'better-sqlite3'
import { clipId } from '../../src/gallery/catalogue/clip-id.js'
import { putClip, removeClip } from '../../src/gallery/catalogue/write-clips.js'
import { Gallery } from '../../src/gallery/gallery.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import { migrate } from '../../src/gallery/sqlite/migrate.js'
import { toBlob } from '../../src/gallery/sqlite/rows.js'
import { newClip, segment } from '../contract/catalogue.js'
import { unit } from '../contract/vectors.js'
import { MIGRATIONS_DIR, newDir, openCatalogue } from './places.js'

const HEADER = { fingerprint: 'f'.repeat(64), dimension: 4 }
const MIGRATIONS = readdirSync(MIGRATIONS_DIR).filter((name) => name.endsWith('.sql'))
const HAS_JOBS = '002'
const KEYS = ['abcdefghj', 'bcdefghjk', 'cdefghjkm'] // keys of clips

/** Creates a catalogue with the schema of a migration. It has three clips, one of them removed. */
function writeOld(dir: string, newest: string): void {
  const migrationsDir = join(dir, 'migrations')
  const isOld = (file: string) => file === MIGRATIONS_DIR || basename(file) <= newest
  cpSync(MIGRATIONS_DIR, migrationsDir, { recursive: true, filter: isOld })
  const db = new Database(join(dir, 'catalogue.db'))
  migrate(db, migrationsDir)
  db.prepare('INSERT INTO stamp (only, fingerprint, dimension) VALUES (1, ?, ?)').run(
    HEADER.fingerprint,
    HEADER.dimension,
  )
  db.exec(`INSERT INTO labels VALUES (1, '/m/0bt9lr', 'Dog')`)
  for (const [i, key] of KEYS.entries()) writeClip(db, i + 1, key)
  db.exec(`INSERT INTO changes (op, segment) VALUES ('drop', 3); DELETE FROM clips WHERE number = 3;
    DELETE FROM segments WHERE clip = 3; DELETE FROM embeddings WHERE segment = 3;
    INSERT INTO failures
    VALUES ('/bad', 'MEDIA_DAMAGED', 'cut', 7, 1.5, '2026-01-02T00:00:00.000Z')`)
  if (newest >= HAS_JOBS) writeJob(db)
  db.close()
}

function writeClip(db: Database.Database, number: number, key: string): void {
  db.prepare(
    `INSERT INTO clips (key, path, hash, bytes, mtime_ms, seconds, has_audio, has_visual, notes,
                        indexed_at)
     VALUES (?, ?, ?, 9, 1.5, 10, 1, 0, '["DAMAGED"]', '2026-01-01T00:00:00.000Z')`,
  ).run(key, `/a/${number}`, String(number).repeat(64))
  db.prepare('INSERT INTO segments (clip, start_s, end_s) VALUES (?, 0, 10)').run(number)
  db.prepare(`INSERT INTO embeddings VALUES (?, 'audio', ?)`).run(number, toBlob(vectorOf(number)))
  db.prepare('INSERT INTO tags VALUES (?, 1, 0.5)').run(number)
  db.prepare(`INSERT INTO changes (op, segment, modality) VALUES ('put', ?, 'audio')`).run(number)
}

function writeJob(db: Database.Database): void {
  const request = { sources: ['/a', '/a/b'], mode: 'changed', include: [], ignore: [], within: [] }
  db.prepare(
    `INSERT INTO jobs (request, mode, state, created_at, started_at, ended_at, is_scanned)
     VALUES (?, 'changed', 'partial', ?, ?, ?, 1)`,
  ).run(JSON.stringify(request), ...Array.from({ length: 3 }, () => '2026-01-01T00:00:00.000Z'))
  db.exec(`INSERT INTO items (job, path, bytes, mtime_ms, state, settled, ended_ms)
    VALUES (1, '/a/1', 9, 1.5, 'indexed', 1, 1), (1, '/bad', 7, 1.5, 'failed', 2, 2)`)
}

const vectorOf = (number: number) => unit([1, number, 0, 0])

describe('a catalogue that an earlier Earshot wrote', () => {
  for (const newest of MIGRATIONS.slice(0, -1)) {
    it(`as of ${newest} keeps all that it has`, async () => {
      const dir = newDir()
      writeOld(dir, newest)

      await using catalogue = await openCatalogue(dir, HEADER)

      const clips = await catalogue.clips({ limit: 10 })
      assert.deepEqual(
        clips.map(({ id, path, state, notes, metadata }) => [id, path, state, notes, metadata]),
        [1, 2].map((number) => [
          clipId({ number, key: KEYS[number - 1] as string }),
          `/a/${number}`,
          'indexed',
          ['DAMAGED'],
          {},
        ]),
      )
      const [{ id = '' } = {}] = clips
      assert.deepEqual(await catalogue.embeddings(id, 'audio'), [vectorOf(1)])
      const labels = [{ mid: '/m/0bt9lr', name: 'Dog', probability: 0.5 }]
      assert.deepEqual(await catalogue.tags(id), [{ start: 0, end: 10, labels }])
      assert.equal((await catalogue.failureAt('/bad'))?.code, 'MEDIA_DAMAGED')
      assert.deepEqual(await catalogue.counts(), {
        clips: 2,
        segments: 2,
        embeddings: { audio: 2, visual: 0 },
        failures: 1,
      })
      const [job] = await catalogue.jobs.jobs({ limit: 10 })
      assert.deepEqual(
        [job?.state, job?.counts.indexed, job?.counts.failed],
        newest >= HAS_JOBS ? ['partial', 1, 1] : [undefined, undefined, undefined],
      )
      assert.deepEqual(await catalogue.files.sources(), newest >= HAS_JOBS ? ['/a'] : [])
    })

    it(`as of ${newest} can be searched by attributes and written`, async () => {
      const dir = newDir()
      writeOld(dir, newest)
      await using catalogue = await openCatalogue(dir, HEADER)
      await using gallery = await Gallery.open({
        catalogue,
        openIndex: async () => new MemoryIndex(4),
      })
      const query = { vector: vectorOf(1), modality: 'audio', limit: 9 } as const
      const filter = { op: 'eq', attribute: 'path', value: '/a/2' } as const

      const all = await gallery.nearest(query)
      const some = await gallery.nearest({ ...query, filter })
      const added = await putClip(catalogue, newClip('/new'), [segment(0)])
      await removeClip(catalogue, (await catalogue.clipAt('/a/1'))?.id ?? '')

      assert.deepEqual(
        [all, some].map(({ neighbours }) => neighbours.map(({ segment }) => segment)),
        [[1, 2], [2]],
      )
      assert.ok(
        added.id > clipId({ number: 3, key: '0'.repeat(9) }),
        'a number is never used twice',
      )
      assert.equal((await gallery.check()).whole, true)
      assert.equal((await catalogue.counts()).clips, 2)
    })
  }
})
