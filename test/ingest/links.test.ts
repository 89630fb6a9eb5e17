import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { scan } from '../../src/ingest/scan/scan.js'
import { fixture, temporaryApp, temporaryDir } from '../workplace.js'
import { tone } from './tone.js'

const QUIET = { concurrency: 2, onWarning: () => {}, onProgress: () => {} }

async function pathsIn(source: string, options = {}): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of scan([source], { onWarning: () => {}, ...options })) paths.push(path)
  return paths
}

describe('a file that is reached through links', () => {
  it('is one clip, called by its real path', async (test) => {
    const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
    const dir = await temporaryDir(test)
    await mkdir(join(dir, 'real'))
    await writeFile(join(dir, 'real', 'a.wav'), tone(300))
    await writeFile(join(dir, 'real', 'b.dat'), tone(400))
    await symlink(join(dir, 'real'), join(dir, 'link'))
    await symlink(join(dir, 'real', 'b.dat'), join(dir, 'real', 'c.wav'))
    await symlink(join(dir, 'real', 'a.wav'), join(dir, 'real', 'd.wav'))

    await ingestPaths([join(dir, 'real')], app, QUIET)
    await ingestPaths([join(dir, 'link')], app, QUIET)

    const clips = await app.gallery.catalogue.clips({ limit: 9 })
    assert.deepEqual(clips.map(({ path }) => basename(path)).sort(), ['a.wav', 'b.dat'])
  })

  it('keeps its clip where an earlier version recorded the path of the link', async (test) => {
    const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
    const dir = await temporaryDir(test)
    await mkdir(join(dir, 'real'))
    await writeFile(join(dir, 'real', 'a.wav'), tone(300))
    await symlink(join(dir, 'real'), join(dir, 'link'))
    const before = await ingestFile(join(dir, 'link', 'a.wav'), app)

    const after = await ingestFile(join(dir, 'real', 'a.wav'), app)

    assert.equal(after.outcome, 'moved')
    assert.deepEqual([after.clip.id, after.clip.path], [before.clip.id, join(dir, 'real', 'a.wav')])
  })
})

it('does not index a data folder that is reached through a link', async (test) => {
  const dir = await temporaryDir(test)
  await mkdir(join(dir, 'data', 'media'), { recursive: true })
  await writeFile(join(dir, 'data', 'media', 'stored.wav'), tone(300))
  await writeFile(join(dir, 'a.wav'), tone(400))
  await symlink(join(dir, 'data'), join(dir, 'link'))

  const found = await pathsIn(dir, { except: [join(dir, 'link')], followLinks: true })

  assert.deepEqual(found, [join(dir, 'a.wav')])
})

const KEPT_BY_SYSTEMS = [
  'photos/@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_M.jpg',
  '#recycle/old.jpg',
  '#snapshot/GMT-2026/IMG_1.jpg',
  '@Recycle/a.jpg',
  '.Trash-1000/files/gone.jpg',
  '.Trashes/501/a.mp4',
  '$RECYCLE.BIN/S-1-5-21/$RA1.jpg',
  'System Volume Information/a.mp4',
  'photos/.thumbnails/1.jpg',
  '.trashed-1690000000-IMG_9.jpg',
  '.pending-1690000000-IMG_8.jpg',
  'lost+found/a.mp4',
]

it('leaves out system files among media by default', async (test) => {
  const dir = await temporaryDir(test)
  for (const path of [
    ...KEPT_BY_SYSTEMS,
    'photos/IMG_1.jpg',
    'recycle/b.jpg',
    'thumbnails/c.jpg',
  ]) {
    await mkdir(join(dir, path, '..'), { recursive: true })
    await copyFile(fixture('photo_dog.jpg'), join(dir, path))
  }

  const found = (await pathsIn(dir)).map((path) => path.slice(dir.length + 1))

  assert.deepEqual(found, ['photos/IMG_1.jpg', 'recycle/b.jpg', 'thumbnails/c.jpg'])
  assert.equal((await pathsIn(dir, { defaultIgnores: false })).length, KEPT_BY_SYSTEMS.length + 3)
})

it('tells in its report what it did not take for media, by extension', async (test) => {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const dir = await temporaryDir(test)
  await writeFile(join(dir, 'a.wav'), tone(300))
  for (const name of ['b.xyz', 'c.XYZ', 'd.srt', 'none', '.hidden'])
    await writeFile(join(dir, name), 'x')

  const { job, indexed, skipped } = await ingestPaths([dir], app, QUIET)

  assert.deepEqual([indexed, skipped], [1, { xyz: 2, srt: 1, '': 1 }])
  assert.deepEqual((await app.gallery.catalogue.jobs.job(job)).skipped, skipped)
})

it('pauses a job, and blames no file, where no temporary file can be made', async (test) => {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const dir = await temporaryDir(test)
  await copyFile(fixture('sound_perc_bell.opus'), join(dir, 'a.opus'))
  const before = process.env.TMPDIR
  const ingestWith = async (folder: string) => {
    process.env.TMPDIR = folder
    try {
      return await ingestPaths([dir], app, QUIET)
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
  }

  for (const folder of ['/nowhere/at/all', '/proc']) {
    const { failed, stop } = await ingestWith(folder)
    assert.deepEqual([failed, stop?.code], [[], 'TEMP_UNUSABLE'], folder)
    assert.match(stop?.detail ?? '', new RegExp(folder))
  }
  const { indexed } = await ingestPaths([dir], app, QUIET)
  assert.equal(indexed, 1)
  await rename(join(dir, 'a.opus'), join(dir, 'b.opus'))
  assert.equal((await readdir(dir)).length, 1)
})
