import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SegmentId, Seq } from '../../src/domain/ids.js'
import type { Modality } from '../../src/domain/modality.js'
import type { UnitVector } from '../../src/domain/vector.js'
import type { Change } from '../../src/gallery/catalogue/change-log.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import type { Neighbour, VectorIndex } from '../../src/gallery/vector/vector-index.js'
import { clustered, randomUnit, seeded, unit } from './vectors.js'

const EAST = unit([1, 0, 0])
const NORTH_EAST = unit([1, 1, 0])
const NORTH = unit([0, 1, 0])
const WEST = unit([-1, 0, 0])

export const put = (
  seq: Seq,
  segment: SegmentId,
  vector: UnitVector,
  modality: Modality = 'audio',
): Change => ({
  seq,
  op: 'put',
  segment,
  modality,
  vector,
})
export const drop = (seq: Seq, segment: SegmentId): Change => ({ seq, op: 'drop', segment })
export const segments = (neighbours: readonly Neighbour[]): SegmentId[] =>
  neighbours.map(({ segment }) => segment)

/** What every engine promises. `open` opens an empty index. */
export function vectorIndexContract(
  name: string,
  open: (dimension: number) => Promise<VectorIndex>,
): void {
  describe(`the ${name} index`, () => {
    it('answers the best first, with their cosines', async () => {
      await using index = await open(3)
      await index.apply(
        [put(1, 10, NORTH), put(2, 11, WEST), put(3, 12, EAST), put(4, 13, NORTH_EAST)],
        4,
      )

      const found = await index.nearest({ vector: EAST, modality: 'audio', limit: 10 })

      assert.deepEqual(segments(found), [12, 13, 10, 11])
      assert.deepEqual(
        found.map(({ score }) => score.toFixed(2)),
        ['1.00', '0.71', '0.00', '-1.00'],
      )
      assert.ok(found.every(({ score }) => Math.abs(score) <= 1))
    })

    it('answers no more than was asked for, and nothing from an empty index', async () => {
      await using index = await open(3)
      assert.deepEqual(await index.nearest({ vector: EAST, modality: 'audio', limit: 5 }), [])
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH), put(3, 3, WEST)], 3)

      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'audio', limit: 2 })),
        [1, 2],
      )
      assert.deepEqual(await index.nearest({ vector: EAST, modality: 'audio', limit: 0 }), [])
    })

    it('keeps the modalities apart', async () => {
      await using index = await open(3)
      await index.apply(
        [put(1, 1, EAST, 'audio'), put(2, 1, NORTH, 'visual'), put(3, 2, EAST, 'visual')],
        3,
      )

      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'audio', limit: 5 })),
        [1],
      )
      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'visual', limit: 5 })),
        [2, 1],
      )
      assert.deepEqual(index.sizes, { audio: 1, visual: 2 })
    })

    it('leaves out what is excepted and still answers as many as there are', async () => {
      await using index = await open(16)
      const { changes, vectors } = library(400, 16)
      await index.apply(changes, changes.length)
      const except = Array.from({ length: 200 }, (_, i) => i * 2 + 1).concat(9999)

      const found = await index.nearest({
        vector: vectors[0] as UnitVector,
        modality: 'audio',
        limit: 150,
        except,
      })
      const rest = await index.nearest({
        vector: vectors[0] as UnitVector,
        modality: 'audio',
        limit: 300,
        except,
      })

      assert.equal(found.length, 150)
      assert.equal(rest.length, 200)
      assert.ok([...found, ...rest].every(({ segment }) => segment % 2 === 0))
    })

    it('never answers what was dropped, in either modality', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 1, EAST, 'visual'), put(3, 2, NORTH)], 3)
      await index.apply([drop(4, 1), drop(5, 77)], 5)

      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'audio', limit: 5 })),
        [2],
      )
      assert.deepEqual(await index.nearest({ vector: EAST, modality: 'visual', limit: 5 }), [])
      assert.deepEqual(index.sizes, { audio: 1, visual: 0 })
    })

    for (const count of [500, 3000]) {
      it(`goes on answering in full when all but 100 of ${count} were dropped`, async () => {
        await using index = await open(16)
        const { changes, vectors } = library(count, 16)
        const drops = changes.slice(0, -100).map(({ segment }, i) => drop(count + 1 + i, segment))
        await index.apply(changes, count)
        await index.apply(drops, 2 * count - 100)

        const found = await index.nearest({
          vector: vectors[0] as UnitVector,
          modality: 'audio',
          limit: 100,
        })

        assert.deepEqual(
          segments(found).sort((a, b) => a - b),
          Array.from({ length: 100 }, (_, i) => count - 99 + i),
        )
        assert.equal(index.sizes.audio, 100)
      })
    }

    it('takes the vector put last for a segment', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH), put(3, 1, WEST)], 3)

      const [best, second] = await index.nearest({ vector: WEST, modality: 'audio', limit: 2 })

      assert.deepEqual([best?.segment, second?.segment], [1, 2])
      assert.ok(Math.abs((best?.score ?? 0) - 1) < 1e-6)
      assert.equal(index.sizes.audio, 2)
    })

    it('is the same when changes are applied twice', async () => {
      await using index = await open(3)
      const first = [put(1, 1, EAST), put(2, 2, NORTH)]
      const second = [drop(3, 1), put(4, 3, WEST)]
      for (const [changes, cursor] of [
        [first, 2],
        [first, 2],
        [second, 4],
        [first, 2],
        [second, 4],
        [first, 2],
      ] as const) {
        await index.apply(changes, cursor)
      }

      assert.equal(index.cursor, 4)
      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'audio', limit: 5 })),
        [2, 3],
      )
    })

    it('moves its cursor past rows that said nothing', async () => {
      await using index = await open(3)
      assert.equal(index.cursor, 0)

      await index.apply([put(2, 1, EAST)], 7)
      assert.equal(index.cursor, 7)
      await index.apply([], 9)

      assert.equal(index.cursor, 9)
    })

    it('says which segments it holds', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH, 'visual')], 2)

      assert.deepEqual(await index.holding([1, 2, 3], 'audio'), new Set([1]))
      assert.deepEqual(await index.holding([1, 2, 3], 'visual'), new Set([2]))
    })

    for (const noise of [0, 1e-7, 1e-5, 1e-3]) {
      it(`holds a thousand vectors that are equal but for ${noise}, and finds what lies between them`, async () => {
        await using index = await open(32)
        const random = seeded(3)
        const same = randomUnit(32, random)
        const equal = () => unit(same.map((value) => value + noise * (random() - 0.5)))
        const others = Array.from({ length: 500 }, () => randomUnit(32, random))
        const changes = others.flatMap((other, i) => [
          put(3 * i + 1, 3 * i + 1, other),
          put(3 * i + 2, 3 * i + 2, equal()),
          put(3 * i + 3, 3 * i + 3, equal()),
        ])
        await index.apply(changes, changes.length)

        const equals = await index.nearest({ vector: same, modality: 'audio', limit: 100 })
        const selves = await Promise.all(
          others.map(
            async (vector) =>
              segments(await index.nearest({ vector, modality: 'audio', limit: 1 }))[0],
          ),
        )

        assert.equal(equals.filter(({ score }) => score > 0.9999).length, 100)
        assert.equal(index.sizes.audio, 1500)
        assert.deepEqual(
          selves,
          others.map((_, i) => 3 * i + 1),
        )
      })
    }

    it('answers all there is when asked for more, however hard to reach', async () => {
      await using index = await open(8)
      const random = seeded(3)
      const centre = randomUnit(8, random)
      // Not quite of length 1: the longer ones draw all links of a graph to themselves.
      const close = () => centre.map((value) => value + 0.03 * (random() - 0.5)) as UnitVector
      const changes = Array.from({ length: 2000 }, (_, i) =>
        put(i + 1, i + 1, i % 2 ? close() : randomUnit(8, random)),
      )
      await index.apply(changes, changes.length)

      const found = await index.nearest({ vector: centre, modality: 'audio', limit: 5000 })

      assert.equal(new Set(segments(found)).size, 2000)
    })

    it('drops one of several equal vectors and keeps the others', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, EAST), put(3, 3, EAST), drop(4, 1)], 4)
      await index.apply([put(5, 4, EAST), drop(6, 2), drop(7, 3)], 7)

      assert.deepEqual(
        segments(await index.nearest({ vector: EAST, modality: 'audio', limit: 5 })),
        [4],
      )
      assert.deepEqual(
        await index.nearest({ vector: EAST, modality: 'audio', limit: 5, except: [4] }),
        [],
      )
    })

    it('agrees with exact search on 5000 clustered vectors', async () => {
      await using index = await open(64)
      const { changes, draw } = library(5000, 64)
      const exact = new MemoryIndex(64)
      for (const each of [index, exact]) await each.apply(changes, changes.length)

      let hits = 0
      for (let i = 0; i < 100; i++) {
        const query = { vector: draw(), modality: 'audio', limit: 10 } as const
        const truth = new Set(segments(await exact.nearest(query)))
        hits += segments(await index.nearest(query)).filter((segment) => truth.has(segment)).length
      }

      assert.equal(index.sizes.audio, 5000)
      assert.ok(hits / 1000 >= 0.95, `recall@10 is ${hits / 1000}`)
    })

    it('refuses a query of another size', async () => {
      await using index = await open(3)
      await assert.rejects(index.nearest({ vector: unit([1, 0]), modality: 'audio', limit: 1 }), {
        code: 'EMBEDDING_SIZE',
      })
    })

    it('does not search for one who has gone', async () => {
      await using index = await open(3)
      const query = { vector: EAST, modality: 'audio', limit: 1 } as const
      await assert.rejects(index.nearest(query, AbortSignal.abort()), { name: 'AbortError' })
    })
  })
}

function library(count: number, dimension: number) {
  const draw = clustered({ dimension, clusters: Math.ceil(count / 50), random: seeded(count) })
  const vectors = Array.from({ length: count }, draw)
  return { draw, vectors, changes: vectors.map((vector, i) => put(i + 1, i + 1, vector)) }
}
