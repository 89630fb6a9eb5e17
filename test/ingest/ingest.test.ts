import assert from 'node:assert/strict'
import { appendFile, chmod, copyFile, mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import type { App } from '../../src/app.js'
import { type IngestProgress, ingestPaths } from '../../src/ingest/ingest-paths.js'
import { scan } from '../../src/ingest/scan.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'

async function folderOf(test: TestContext, names: readonly string[]): Promise<string> {
  const dir = await temporaryDir(test)
  for (const name of names) await copyFile(fixture(name), join(dir, name))
  return dir
}

function ingest(app: App, paths: readonly string[], onProgress: (step: IngestProgress) => void = () => {}) {
  return ingestPaths(paths, app, { concurrency: 2, onWarning: () => {}, onProgress })
}

it('indexes a folder, and does nothing the second time', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['guitar_cc0.mp4', 'photo_cat.webp', 'sound_perc_bell.opus'])

  const first = await ingest(app, [dir])
  const second = await ingest(app, [dir])

  assert.deepEqual({ ...first, seconds: 0 }, { indexed: 3, unchanged: 0, partial: 0, failed: [], seconds: 0 })
  assert.deepEqual({ ...second, seconds: 0 }, { indexed: 0, unchanged: 3, partial: 0, failed: [], seconds: 0 })
  assert.equal((await app.gallery.catalogue.counts()).clips, 3)
  assert.equal((await app.gallery.check()).whole, true)
})

it('sees by content that a touched file is unchanged, and that an altered one is not', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['sound_perc_bell.opus'])
  const file = join(dir, 'sound_perc_bell.opus')
  await ingest(app, [file])
  const before = await app.gallery.catalogue.clipAt(file)

  await utimes(file, new Date(), new Date(0))
  assert.equal((await ingest(app, [file])).unchanged, 1)

  await copyFile(fixture('sound_misc_crow.opus'), file)
  assert.equal((await ingest(app, [file])).indexed, 1)
  const now = await app.gallery.catalogue.clipAt(file)
  assert.equal(now?.id, before?.id)
  assert.notEqual(now?.hash, before?.hash)
  assert.equal((await app.gallery.check()).whole, true)
})

it('keeps the clips of a folder that was moved, and encodes nothing again', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['guitar_cc0.mp4', 'photo_cat.webp'])
  await ingest(app, [dir])
  const { catalogue } = app.gallery
  const before = await catalogue.clips({ limit: 10 })
  const head = await catalogue.head()
  const moved = join(await temporaryDir(test), 'moved')
  await rename(dir, moved)

  const report = await ingest(app, [moved])

  assert.deepEqual([report.indexed, report.unchanged], [0, 2])
  const now = await catalogue.clips({ limit: 10 })
  assert.deepEqual(
    now.map(({ id }) => id),
    before.map(({ id }) => id),
  )
  assert.ok(now.every(({ path }) => path.startsWith(moved)))
  assert.equal(await catalogue.head(), head)
})

it('takes a copy for a clip of its own', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['photo_cat.webp'])
  await ingest(app, [dir])
  await copyFile(join(dir, 'photo_cat.webp'), join(dir, 'copy.webp'))

  assert.equal((await ingest(app, [dir])).indexed, 1)
  assert.equal((await app.gallery.catalogue.counts()).clips, 2)
})

it('sees that a file was altered where its size stayed the same', async (test) => {
  const app = await temporaryApp(test)
  const file = join(await temporaryDir(test), 'same-size.wav')
  await writeFile(file, tone(440))
  await ingest(app, [file])

  await writeFile(file, tone(880))
  await utimes(file, new Date(), new Date(1e12))

  assert.equal((await ingest(app, [file])).indexed, 1)
})

/** A second of a tone, as a WAV file. */
function tone(hz: number): Buffer {
  const samples = Int16Array.from({ length: 16_000 }, (_, n) => 8000 * Math.sin((2 * Math.PI * hz * n) / 16_000))
  const header = Buffer.alloc(44)
  header.write('RIFF')
  header.writeUInt32LE(36 + samples.byteLength, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20) // PCM
  header.writeUInt16LE(1, 22) // channels
  header.writeUInt32LE(16_000, 24)
  header.writeUInt32LE(32_000, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(samples.byteLength, 40)
  return Buffer.concat([header, Buffer.from(samples.buffer)])
}

it('reports each file that fails, with its reason, while the rest go on', async (test) => {
  const app = await temporaryApp(test)
  const dir = await folderOf(test, ['bad_empty.mp4', 'bad_text_named.mp4', 'bad_truncated.mp4', 'photo_dog.jpg'])
  const steps: IngestProgress[] = []

  const { indexed, failed } = await ingest(app, [dir, join(dir, 'gone.wav')], (step) => steps.push(step))

  assert.equal(indexed, 1)
  const codes = Object.fromEntries(failed.map(({ path, code }) => [path.split('/').at(-1), code]))
  assert.deepEqual(codes, {
    'bad_empty.mp4': 'MEDIA_EMPTY',
    'bad_text_named.mp4': 'MEDIA_IS_TEXT',
    'bad_truncated.mp4': 'MEDIA_DAMAGED',
    'gone.wav': 'FILE_NOT_FOUND',
  })
  assert.equal(steps.at(-1)?.done, 5)
  assert.equal((await app.gallery.catalogue.failures({ limit: 10 })).length, 4)
})

it('forgets a failure when the file is mended', async (test) => {
  const app = await temporaryApp(test)
  const dir = await temporaryDir(test)
  const file = join(dir, 'clip.opus')
  await writeFile(file, '')
  await ingest(app, [file])
  assert.equal((await app.gallery.catalogue.failureAt(file))?.code, 'MEDIA_EMPTY')

  await copyFile(fixture('sound_misc_crow.opus'), file)
  await ingest(app, [file])

  assert.equal(await app.gallery.catalogue.failureAt(file), undefined)
})

it('stops when it is told to, and keeps what was done', async (test) => {
  const app = await temporaryApp(test)
  const abort = new AbortController()
  const stopped = ingestPaths(
    [fixture('photo_cat.webp'), fixture('photo_cow.webp'), fixture('photo_pig.webp')],
    { ...app, signal: abort.signal },
    {
      concurrency: 1,
      onWarning: () => {},
      onProgress: () => abort.abort(new Error('enough')),
    },
  )

  await assert.rejects(stopped, /enough/)
  assert.equal((await app.gallery.catalogue.counts()).clips, 1)
  assert.equal((await app.gallery.catalogue.counts()).failures, 0)
})

it('finds media by name in folders, in depth, and follows no circles', async (test) => {
  const dir = await temporaryDir(test)
  await mkdir(join(dir, 'deep', 'er'), { recursive: true })
  await mkdir(join(dir, 'library'))
  for (const name of ['b.MP4', 'a.wav', 'notes.txt', '._a.wav', 'deep/er/c.jpg', 'library/own.mp4'])
    await appendFile(join(dir, name), '')
  await symlink(dir, join(dir, 'deep', 'circle'))
  await symlink(join(dir, 'a.wav'), join(dir, 'deep', 'link.wav'))

  const found = []
  for await (const path of scan([dir], { except: [join(dir, 'library')], onWarning: () => {} }))
    found.push(path.slice(dir.length + 1))

  assert.deepEqual(found, ['a.wav', 'b.MP4', 'deep/er/c.jpg', 'deep/link.wav'])
})

it('warns of a folder that it may not read, and goes on', {
  skip: process.getuid?.() === 0 && 'root may read everything',
}, async (test) => {
  const dir = await temporaryDir(test)
  await mkdir(join(dir, 'secret'))
  await appendFile(join(dir, 'z.wav'), '')
  await chmod(join(dir, 'secret'), 0)
  const warnings: string[] = []

  const found = []
  for await (const path of scan([dir], { onWarning: (detail) => warnings.push(detail) })) found.push(path)

  assert.equal(found.length, 1)
  assert.match(warnings.join(), /secret/)
})
