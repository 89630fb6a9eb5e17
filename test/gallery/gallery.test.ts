import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Worker } from 'node:worker_threads'
import type { Seq } from '../../src/domain/ids.js'
import type { Catalogue } from '../../src/gallery/catalogue/catalogue.js'
import { putClip, removeClip } from '../../src/gallery/catalogue/write-clips.js'
import { Gallery } from '../../src/gallery/gallery.js'
import { HnswIndex } from '../../src/gallery/hnsw/hnsw-index.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import type { NearestQuery, VectorIndex } from '../../src/gallery/vector/vector-index.js'
import { newClip } from '../contract/catalogue.js'
import { nearest, put, segments } from '../contract/vector-index.js'
import { randomUnit, seeded } from '../contract/vectors.js'
import { newDir, openCatalogue } from './places.js'

const DIMENSION = 16
const STAMP = { fingerprint: 'f'.repeat(64), dimension: DIMENSION }

const openHnsw = (dir: string, catalogue: Catalogue) => (from: 'snapshot' | 'empty') =>
  HnswIndex.open({ dir: join(dir, 'index'), ...STAMP, log: catalogue.log, from })

const random = seeded(5)
const vector = () => randomUnit(DIMENSION, random)
const newSegments = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    start: i * 10,
    end: i * 10 + 10,
    embeddings: { audio: vector(), visual: vector() },
    labels: [],
  }))

describe('the gallery', () => {
  it('answers a query with what was put a moment ago', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    const given = newSegments(3)

    for (const [i, segment] of given.entries()) {
      const { id } = await putClip(catalogue, newClip(`/${i}`), [segment])
      const query = { vector: segment.embeddings.visual, modality: 'visual', limit: 1 } as const
      assert.deepEqual(segments(await nearest(gallery, query)), await catalogue.segmentIds(id))
    }
  })

  it('follows what another process writes, replaces and removes', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await using writer = await openCatalogue(dir, STAMP)
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    const kept = await putClip(writer, newClip('/kept'), newSegments(4))
    const removed = await putClip(writer, newClip('/removed'), newSegments(5))
    await gallery.follow()
    await putClip(writer, newClip('/kept'), newSegments(2))
    await removeClip(writer, removed.id)

    const found = await nearest(gallery, { vector: vector(), modality: 'audio', limit: 50 })

    assert.deepEqual(new Set(segments(found)), new Set(await catalogue.segmentIds(kept.id)))
    assert.deepEqual(await gallery.check(), whole(2))
  })

  it('is the same from a snapshot and the log, from the log alone, and rebuilt', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    const query = { vector: vector(), modality: 'audio', limit: 60 } as const
    const exact = await Gallery.open({
      catalogue,
      openIndex: async () => new MemoryIndex(DIMENSION),
    })
    for (let round = 0; round < 3; round++) {
      await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
      for (let i = 0; i < 20; i++)
        await putClip(catalogue, newClip(`/${round}-${i % 15}`), newSegments(3))

      const followed = segments(await nearest(gallery, query))
      await gallery.rebuild()

      assert.deepEqual(followed, segments(await nearest(exact, query)))
      assert.deepEqual(segments(await nearest(gallery, query)), followed)
      assert.deepEqual(await gallery.check(), whole((round + 1) * 45))
    }
  })

  it('applies each change once, however many ask at the same time', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    const applied: Seq[] = []
    class Counting extends MemoryIndex {
      override async apply(...[changes, cursor]: Parameters<VectorIndex['apply']>) {
        applied.push(...changes.map(({ seq }) => seq))
        await new Promise(setImmediate)
        await super.apply(changes, cursor)
      }
    }
    await using gallery = await Gallery.open({
      catalogue,
      openIndex: async () => new Counting(DIMENSION),
    })
    await putClip(catalogue, newClip('/a'), newSegments(700))

    await Promise.all(Array.from({ length: 20 }, () => gallery.follow()))

    assert.deepEqual(
      applied,
      Array.from({ length: 1401 }, (_, i) => i + 1),
    )
  })

  it('rebuilds when the catalogue was restored from an older copy', async () => {
    const dir = newDir()
    const restored = join(dir, 'restored')
    mkdirSync(restored)
    {
      await using catalogue = await openCatalogue(dir, STAMP)
      await putClip(catalogue, newClip('/a'), newSegments(3))
    }
    copyFileSync(join(dir, 'catalogue.db'), join(restored, 'catalogue.db'))
    {
      await using catalogue = await openCatalogue(dir, STAMP)
      await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
      await putClip(catalogue, newClip('/b'), newSegments(5))
      await gallery.follow()
    }
    await using catalogue = await openCatalogue(restored, STAMP)
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })

    const query = { vector: vector(), modality: 'audio', limit: 50 } as const
    const answers = await Promise.all([
      nearest(gallery, query),
      nearest(gallery, query),
      nearest(gallery, query),
    ])

    assert.deepEqual(
      answers.map(({ length }) => length),
      [3, 3, 3],
    )
    assert.deepEqual(await gallery.check(), whole(3))
  })

  it('rebuilds when a copy was restored and then written past where the index stands', async () => {
    const dir = newDir()
    const restored = join(dir, 'restored')
    mkdirSync(restored)
    {
      await using catalogue = await openCatalogue(dir, STAMP)
      await putClip(catalogue, newClip('/a'), newSegments(3))
    }
    copyFileSync(join(dir, 'catalogue.db'), join(restored, 'catalogue.db'))
    {
      await using catalogue = await openCatalogue(dir, STAMP)
      await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
      await putClip(catalogue, newClip('/b'), newSegments(5))
      await gallery.follow()
    }
    await using catalogue = await openCatalogue(restored, STAMP)
    const { id } = await putClip(catalogue, newClip('/c'), newSegments(9))
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })

    const vectors = await catalogue.embeddings(id, 'audio')
    const found = await Promise.all(
      vectors.map((vector) => nearest(gallery, { vector, modality: 'audio', limit: 1 })),
    )

    assert.deepEqual(found.flatMap(segments), await catalogue.segmentIds(id))
    assert.deepEqual(await gallery.check(), whole(12))
  })

  it('rebuilds its index if the log was compacted past it', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await using other = await openCatalogue(dir, STAMP)
    await using behind = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    const { id } = await putClip(catalogue, newClip('/a'), newSegments(20))
    await behind.follow()

    await removeClip(other, id)
    await putClip(other, newClip('/b'), newSegments(4))
    await other.log.compact(await other.log.head())
    const answer = await nearest(behind, { vector: vector(), modality: 'audio', limit: 50 })
    await putClip(other, newClip('/c'), newSegments(1))

    assert.equal(answer.length, 4)
    assert.deepEqual(await behind.check(), whole(5))
    assert.equal(
      (await catalogue.log.read(0, 100)).changes.filter(({ op }) => op === 'drop').length,
      0,
    )
  })

  it('lets the log forget reverted changes up to the index on disk', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    class Durable extends MemoryIndex {
      override async info() {
        const info = await super.info()
        return { ...info, saved: info.cursor }
      }
    }
    await using gallery = await Gallery.open({
      catalogue,
      openIndex: async () => new Durable(DIMENSION),
    })
    for (let i = 0; i < 6; i++) await putClip(catalogue, newClip('/a'), newSegments(600))

    await gallery.follow()
    const head = await catalogue.log.head()
    const { changes, compactedUpTo } = await catalogue.log.read(0, 100_000)

    assert.equal(head, 6 * (1 + 600 * 2) + 5 * 600)
    assert.equal(compactedUpTo, head)
    assert.equal(changes.length, 1 + 1200)
    assert.deepEqual(await gallery.check(), whole(600))
  })

  it('measures how much its index finds of what there is to be found', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await putClip(catalogue, newClip('/a'), newSegments(600))
    await using whole = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    class Forgetful extends MemoryIndex {
      override async nearest(query: NearestQuery) {
        const found = await super.nearest(query)
        return { ...found, neighbours: found.neighbours.filter((_, i) => i % 2 === 0) }
      }
    }
    await using half = await Gallery.open({
      catalogue,
      openIndex: async () => new Forgetful(DIMENSION),
    })

    const { audio, visual } = await whole.recall()

    assert.ok((audio ?? 0) > 0.95 && (visual ?? 0) > 0.95, `recall is ${audio} and ${visual}`)
    assert.deepEqual(await half.recall(), { audio: 0.5, visual: 0.5 })
  })

  it('measures nothing where there is nothing to ask with', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await putClip(catalogue, newClip('/a'), [
      { ...newSegments(1)[0], start: 0, end: 10, embeddings: { audio: vector() }, labels: [] },
    ])
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })

    assert.deepEqual(await gallery.recall(), { audio: null, visual: null })
  })

  it('sees an index that holds what it should not, and heals by a rebuild', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await putClip(catalogue, newClip('/a'), newSegments(2))
    const openIndex = async (from: 'snapshot' | 'empty') => {
      const index = new MemoryIndex(DIMENSION)
      if (from === 'snapshot') await index.apply([put(2, 77, vector())], 2)
      return index
    }
    await using gallery = await Gallery.open({ catalogue, openIndex })

    assert.deepEqual(await gallery.check(), { ...whole(2), whole: false, missing: 1 })
    await gallery.rebuild()

    assert.deepEqual(await gallery.check(), whole(2))
  })

  it('lets one who has gone stop waiting, and serves the others', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    await putClip(catalogue, newClip('/a'), newSegments(600))
    const gone = new AbortController()

    const waiting = gallery.follow(gone.signal)
    const staying = gallery.follow()
    setImmediate(() => gone.abort())

    await assert.rejects(waiting, { name: 'AbortError' })
    await staying
    assert.equal((await gallery.check()).whole, true)
  })

  it('fails when the thread of its index ended, until it is rebuilt', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    const started = once(process, 'worker') as Promise<[Worker]>
    await using gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    const [worker] = await started
    await putClip(catalogue, newClip('/a'), newSegments(3))
    const query = { vector: vector(), modality: 'audio', limit: 5 } as const
    worker.postMessage(null) // not a message of the protocol
    await once(worker, 'error')

    await assert.rejects(gallery.nearest(query), { code: 'INTERNAL' })
    await assert.rejects(gallery.nearest(query, { freshness: 'bounded' }), { code: 'INTERNAL' })
    await gallery.rebuild()

    assert.equal((await nearest(gallery, query)).length, 3)
  })

  it('stops following when it is closed', async () => {
    const dir = newDir()
    await using catalogue = await openCatalogue(dir, STAMP)
    const gallery = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    await putClip(catalogue, newClip('/a'), newSegments(2000))
    const following = assert.rejects(gallery.follow(), { code: 'SHUTTING_DOWN' })
    await new Promise(setImmediate)

    await gallery[Symbol.asyncDispose]()

    await following
    await using again = await Gallery.open({ catalogue, openIndex: openHnsw(dir, catalogue) })
    assert.deepEqual(await again.check(), whole(2000))
  })
})

const whole = (each: number) => ({
  whole: true,
  expected: { audio: each, visual: each },
  held: { audio: each, visual: each },
  missing: 0,
})
