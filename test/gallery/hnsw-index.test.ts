import assert from 'node:assert/strict'
import {
  cpSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { HnswIndex } from '../../src/gallery/hnsw/hnsw-index.js'
import { drop, nearest, put, segments, vectorIndexContract } from '../contract/vector-index.js'
import { randomUnit, seeded } from '../contract/vectors.js'
import { newDir } from './places.js'

const FINGERPRINT = 'one'
const DIMENSION = 8
const LOG = { historyTokenAt: async (seq: number) => `row ${seq}` }

vectorIndexContract('hnsw', (dimension) =>
  HnswIndex.open({ dir: newDir(), dimension, fingerprint: FINGERPRINT, log: LOG }),
)

describe('the snapshots of the hnsw index', () => {
  const open = (dir: string, more = {}) =>
    HnswIndex.open({ dir, dimension: DIMENSION, fingerprint: FINGERPRINT, log: LOG, ...more })

  const random = seeded(1)
  const vectors = Array.from({ length: 3000 }, () => randomUnit(DIMENSION, random))
  const changes = vectors.map((vector, i) => put(i + 1, i + 1, vector, i % 3 ? 'audio' : 'visual'))
  const query = { vector: randomUnit(DIMENSION, random), modality: 'audio', limit: 20 } as const

  async function written(dir: string) {
    await using index = await open(dir)
    await index.apply(changes, changes.length)
    await index.apply([drop(3001, 2), put(3002, 3001, vectors[4] as never)], 3002)
    return { answer: await nearest(index, query), sizes: (await index.info()).sizes }
  }

  it('bring back the index as it was', async () => {
    const dir = newDir()
    const before = await written(dir)

    await using index = await open(dir)

    assert.equal((await index.info()).cursor, 3002)
    assert.deepEqual((await index.info()).sizes, before.sizes)
    assert.deepEqual(await nearest(index, query), before.answer)
    await index.apply([drop(3003, 5), put(3004, 3002, query.vector)], 3004)
    assert.equal(segments(await nearest(index, query))[0], 3002)
    assert.deepEqual(await index.holding([2, 5, 3001], 'audio'), new Set([3001]))
  })

  it('are taken when enough has changed, and not when nothing has', async () => {
    const dir = newDir()
    await using index = await open(dir, { snapshotAfter: 1000 })
    for (let from = 0; from < 3000; from += 500)
      await index.apply(changes.slice(from, from + 500), from + 500)

    await using other = await open(dir)
    const names = readdirSync(dir)
    const { cursor } = await other.info()
    await other[Symbol.asyncDispose]()

    assert.equal(cursor, 3000)
    assert.equal(names.length, 2)
    assert.deepEqual(readdirSync(dir), names)
  })

  for (const [damage, harm] of Object.entries({
    cut: (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2)),
    overwritten: (file: string) => writeFileSync(file, Buffer.alloc(statSync(file).size, 0xff)),
    missing: (file: string) => rmSync(file),
  })) {
    for (const name of ['audio.hnsw', 'audio.nodes', 'manifest.json']) {
      it(`are passed over when ${name} is ${damage}`, async () => {
        const dir = newDir()
        await written(dir)
        harm(join(dir, readdirSync(dir)[0] as string, name))

        await using index = await open(dir)
        await index.apply([put(1, 1, query.vector)], 1)

        assert.deepEqual(segments(await nearest(index, query)), [1])
      })
    }
  }

  it('fall back on the one before', async () => {
    const dir = newDir()
    await written(dir)
    {
      await using index = await open(dir)
      await index.apply([put(3003, 4000, query.vector)], 3003)
    }
    const newest = readdirSync(dir).sort().at(-1) as string
    truncateSync(join(dir, newest, 'visual.hnsw'), 100)

    await using index = await open(dir)

    assert.equal((await index.info()).cursor, 3002)
  })

  it('are of one bundle', async () => {
    const dir = newDir()
    await written(dir)

    await using another = await open(dir, { fingerprint: 'two' })
    await using wider = await open(dir, { dimension: DIMENSION + 1 })

    assert.deepEqual([(await another.info()).cursor, (await wider.info()).cursor], [0, 0])
  })

  it('are of one history of the log', async () => {
    const dir = newDir()
    await written(dir)

    await using restored = await open(dir, { log: { historyTokenAt: async () => 'another row' } })
    await using shorter = await open(dir, { log: { historyTokenAt: async () => undefined } })

    assert.deepEqual([(await restored.info()).cursor, (await shorter.info()).cursor], [0, 0])
  })

  it('of an index that was superseded are not written', async () => {
    const dir = newDir()
    {
      await using old = await open(dir)
      await old.apply(changes, 3000)
      await using fresh = await open(dir, { from: 'empty' })
      await fresh.apply(changes.slice(0, 10), 10)
      await fresh[Symbol.asyncDispose]()
    }

    await using index = await open(dir)

    assert.equal((await index.info()).cursor, 10)
  })

  it('may be written by several into one folder', async () => {
    const dir = newDir()
    await written(dir)
    const several = await Promise.all(Array.from({ length: 4 }, () => open(dir)))

    await Promise.all(
      several.map((index, i) => index.apply([put(3003, 5000, vectors[i] as never)], 3003 + i)),
    )
    await Promise.all(several.map((index) => index[Symbol.asyncDispose]()))
    await using index = await open(dir)

    assert.equal((await index.info()).cursor, 3006)
    assert.ok(readdirSync(dir).every((name) => !name.startsWith('unfinished')))
  })

  it('are small again some time after most was dropped, and it answers meanwhile', async () => {
    const dir = newDir()
    const drops = changes.slice(0, 2900).map((_, i) => drop(3001 + i, i + 1))
    const newest = () =>
      readdirSync(dir).findLast((name) => !name.startsWith('unfinished')) as string
    const bytes = () => statSync(join(dir, newest(), 'audio.hnsw')).size
    {
      await using index = await open(dir)
      await index.apply(changes, 3000)
    }
    const before = bytes()
    await using index = await open(dir)
    await index.apply([...drops, put(5901, 9000, query.vector)], 5901)

    const { audio } = (await index.info()).sizes
    while (bytes() > before / 10) {
      assert.equal((await nearest(index, { ...query, limit: 500 })).length, audio)
      await setImmediate()
    }

    assert.equal(segments(await nearest(index, query))[0], 9000)
    await using again = await open(dir)
    assert.deepEqual((await again.info()).sizes, (await index.info()).sizes)
  })

  it('follow what is put and dropped while the tombstones are taken out', async () => {
    const dir = newDir()
    await using index = await open(dir)
    await index.apply(changes, 3000)
    const left = vectors.map((_, i) => i + 1).slice(1500)
    await index.apply(
      left.slice(0, 1400).map((segment, i) => drop(3001 + i, segment)),
      4400,
    )
    for (let i = 0; i < 300; i++) {
      const seq = 4401 + 2 * i
      await index.apply([drop(seq, i + 1), put(seq + 1, 10_000 + i, vectors[i] as never)], seq + 1)
      await setImmediate()
    }

    const found = await nearest(index, { ...query, limit: 5000 })

    assert.equal(found.length, (await index.info()).sizes.audio)
    assert.ok(found.every(({ segment }) => (segment > 300 && segment <= 1500) || segment > 2900))
  })

  it('leave a search as it was when they cannot be written', async (t) => {
    const dir = join(newDir(), 'file')
    writeFileSync(dir, '')
    const warn = t.mock.method(process, 'emitWarning', () => {})
    await using index = await open(dir, { snapshotAfter: 1 })

    await index.apply([put(1, 1, query.vector)], 1)

    assert.equal(warn.mock.callCount(), 1)
    assert.deepEqual(segments(await nearest(index, query)), [1])
  })

  it('clear away what a kill has left', async () => {
    const dir = newDir()
    await written(dir)
    const [name = ''] = readdirSync(dir)
    cpSync(join(dir, name), join(dir, 'unfinished-0'), {
      recursive: true,
      preserveTimestamps: true,
    })
    utimesSync(join(dir, 'unfinished-0'), 0, 0)
    {
      await using index = await open(dir)
      await index.apply([drop(3003, 7)], 3003)
    }

    assert.ok(!readdirSync(dir).includes('unfinished-0'))
  })
})
