import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { it, type TestContext } from 'node:test'
import { putClip } from '../../src/gallery/catalogue/write-clips.js'
import { Gallery } from '../../src/gallery/gallery.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import { sweepThumbnails, thumbnailPath } from '../../src/ingest/thumbnails.js'
import { UploadStore } from '../../src/ingest/uploads.js'
import { dataLayout } from '../../src/storage/data-layout.js'
import { newClip, segment } from '../contract/catalogue.js'
import { openCatalogue } from '../gallery/places.js'
import { temporaryDir } from '../workplace.js'

async function place(test: TestContext) {
  const dir = await temporaryDir(test)
  const { thumbnails } = dataLayout(dir)
  await mkdir(thumbnails)
  const catalogue = await openCatalogue(dir, { fingerprint: 'f', dimension: 4 })
  test.after(() => catalogue[Symbol.asyncDispose]())
  const gallery = await Gallery.open({ catalogue, openIndex: async () => new MemoryIndex(4) })
  const put = (path: string, hash: string) =>
    putClip(catalogue, newClip(path, { hash }), [segment(0)])
  const make = (hash: string) => writeFile(thumbnailPath(thumbnails, hash), 'picture')
  return { dir, thumbnails, catalogue, gallery, put, make, left: () => readdir(thumbnails) }
}

it('goes with the last clip of its content', async (test) => {
  const { put, make, left, gallery, dir } = await place(test)
  const uploads = new UploadStore(dataLayout(dir))
  const [one, twin] = [await put('/a', 'aa'), await put('/b', 'aa')]
  await make('aa')

  await uploads.remove([one.id], gallery)
  const between = await left()
  await uploads.remove([twin.id], gallery)

  assert.deepEqual([between, await left()], [['aa.jpg'], []])
})

it('is swept away where its clip was replaced, or where it is half written', async (test) => {
  const { put, make, left, catalogue, thumbnails } = await place(test)
  await put('/a', 'aa')
  for (const hash of ['aa', 'bb']) await make(hash)
  await writeFile(`${thumbnailPath(thumbnails, 'aa')}.1234.tmp`, 'pict')

  await sweepThumbnails(thumbnails, catalogue.files)

  assert.deepEqual(await left(), ['aa.jpg'])
})
