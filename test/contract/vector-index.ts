import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Attributes, AttributeValue } from '../../src/domain/attributes.js'
import type { SegmentId, Seq } from '../../src/domain/ids.js'
import type { Modality } from '../../src/domain/modality.js'
import type { UnitVector } from '../../src/domain/vector.js'
import type { Change } from '../../src/gallery/catalogue/change-log.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import type { Filter } from '../../src/gallery/vector/filter.js'
import type {
  NearestQuery,
  Neighbour,
  Neighbours,
  VectorIndex,
} from '../../src/gallery/vector/vector-index.js'
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
  clip: `clip-${segment}`,
  modality,
  vector,
  attributes: {},
})
export const drop = (seq: Seq, segment: SegmentId): Change => ({ seq, op: 'drop', segment })
export const segments = (neighbours: readonly Neighbour[]): SegmentId[] =>
  neighbours.map(({ segment }) => segment)

/** Describes the hits of an index or a gallery. */
export async function nearest(
  index: { nearest(query: NearestQuery): Promise<Neighbours> },
  query: NearestQuery,
): Promise<readonly Neighbour[]> {
  return (await index.nearest(query)).neighbours
}

/** Tests the contract of every engine. `open` opens an empty index. */
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

      const found = await nearest(index, { vector: EAST, modality: 'audio', limit: 10 })

      assert.deepEqual(segments(found), [12, 13, 10, 11])
      assert.deepEqual(
        found.map(({ score }) => score.toFixed(2)),
        ['1.00', '0.71', '0.00', '-1.00'],
      )
      assert.ok(found.every(({ score }) => Math.abs(score) <= 1))
    })

    it('answers no more than was asked for, and nothing from an empty index', async () => {
      await using index = await open(3)
      assert.deepEqual(await nearest(index, { vector: EAST, modality: 'audio', limit: 5 }), [])
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH), put(3, 3, WEST)], 3)

      assert.deepEqual(
        segments(await nearest(index, { vector: EAST, modality: 'audio', limit: 2 })),
        [1, 2],
      )
      assert.deepEqual(await nearest(index, { vector: EAST, modality: 'audio', limit: 0 }), [])
    })

    it('keeps the modalities apart', async () => {
      await using index = await open(3)
      await index.apply(
        [put(1, 1, EAST, 'audio'), put(2, 1, NORTH, 'visual'), put(3, 2, EAST, 'visual')],
        3,
      )

      assert.deepEqual(
        segments(await nearest(index, { vector: EAST, modality: 'audio', limit: 5 })),
        [1],
      )
      assert.deepEqual(
        segments(await nearest(index, { vector: EAST, modality: 'visual', limit: 5 })),
        [2, 1],
      )
      assert.deepEqual((await index.info()).sizes, { audio: 1, visual: 2 })
    })

    it('leaves out what is excepted and still answers as many as there are', async () => {
      await using index = await open(16)
      const { changes, vectors } = library(400, 16)
      await index.apply(changes, changes.length)
      const except = Array.from({ length: 200 }, (_, i) => i * 2 + 1).concat(9999)

      const found = await nearest(index, {
        vector: vectors[0] as UnitVector,
        modality: 'audio',
        limit: 150,
        except,
      })
      const rest = await nearest(index, {
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
        segments(await nearest(index, { vector: EAST, modality: 'audio', limit: 5 })),
        [2],
      )
      assert.deepEqual(await nearest(index, { vector: EAST, modality: 'visual', limit: 5 }), [])
      assert.deepEqual((await index.info()).sizes, { audio: 1, visual: 0 })
    })

    for (const count of [500, 3000]) {
      it(`still returns all hits after all but 100 of ${count} were dropped`, async () => {
        await using index = await open(16)
        const { changes, vectors } = library(count, 16)
        const drops = changes.slice(0, -100).map((_, i) => drop(count + 1 + i, i + 1))
        await index.apply(changes, count)
        await index.apply(drops, 2 * count - 100)

        const found = await nearest(index, {
          vector: vectors[0] as UnitVector,
          modality: 'audio',
          limit: 100,
        })

        assert.deepEqual(
          segments(found).sort((a, b) => a - b),
          Array.from({ length: 100 }, (_, i) => count - 99 + i),
        )
        assert.equal((await index.info()).sizes.audio, 100)
      })
    }

    it('takes the vector put last for a segment', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH), put(3, 1, WEST)], 3)

      const [best, second] = await nearest(index, { vector: WEST, modality: 'audio', limit: 2 })

      assert.deepEqual([best?.segment, second?.segment], [1, 2])
      assert.ok(Math.abs((best?.score ?? 0) - 1) < 1e-6)
      assert.equal((await index.info()).sizes.audio, 2)
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

      assert.equal((await index.info()).cursor, 4)
      assert.deepEqual(
        segments(await nearest(index, { vector: EAST, modality: 'audio', limit: 5 })),
        [2, 3],
      )
    })

    it('moves its cursor past rows that said nothing', async () => {
      await using index = await open(3)
      assert.equal((await index.info()).cursor, 0)

      await index.apply([put(2, 1, EAST)], 7)
      assert.equal((await index.info()).cursor, 7)
      await index.apply([], 9)

      assert.equal((await index.info()).cursor, 9)
    })

    it('says which segments it holds', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, NORTH, 'visual')], 2)

      assert.deepEqual(await index.holding([1, 2, 3], 'audio'), new Set([1]))
      assert.deepEqual(await index.holding([1, 2, 3], 'visual'), new Set([2]))
    })

    for (const noise of [0, 1e-7, 1e-5, 1e-3]) {
      it(`finds vectors among a thousand near-duplicates with noise ${noise}`, async () => {
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

        const equals = await nearest(index, { vector: same, modality: 'audio', limit: 100 })
        const selves = await Promise.all(
          others.map(
            async (vector) =>
              segments(await nearest(index, { vector, modality: 'audio', limit: 1 }))[0],
          ),
        )

        assert.equal(equals.filter(({ score }) => score > 0.9999).length, 100)
        assert.equal((await index.info()).sizes.audio, 1500)
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
      // The lengths differ slightly from 1. Longer vectors attract all links of a graph.
      const close = () => centre.map((value) => value + 0.03 * (random() - 0.5)) as UnitVector
      const changes = Array.from({ length: 2000 }, (_, i) =>
        put(i + 1, i + 1, i % 2 ? close() : randomUnit(8, random)),
      )
      await index.apply(changes, changes.length)

      const found = await nearest(index, { vector: centre, modality: 'audio', limit: 5000 })

      assert.equal(new Set(segments(found)).size, 2000)
    })

    it('drops one of several equal vectors and keeps the others', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST), put(2, 2, EAST), put(3, 3, EAST), drop(4, 1)], 4)
      await index.apply([put(5, 4, EAST), drop(6, 2), drop(7, 3)], 7)

      assert.deepEqual(
        segments(await nearest(index, { vector: EAST, modality: 'audio', limit: 5 })),
        [4],
      )
      assert.deepEqual(
        await nearest(index, { vector: EAST, modality: 'audio', limit: 5, except: [4] }),
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
        const truth = new Set(segments(await nearest(exact, query)))
        hits += segments(await nearest(index, query)).filter((segment) => truth.has(segment)).length
      }

      assert.equal((await index.info()).sizes.audio, 5000)
      assert.ok(hits / 1000 >= 0.95, `recall@10 is ${hits / 1000}`)
    })

    describe('with a filter', () => {
      const clip = (seq: Seq, name: string, attributes: Attributes): Change => ({
        seq,
        op: 'attributes',
        clip: name,
        attributes,
      })
      const tagged = (seq: Seq, segment: SegmentId, name: string, attributes: Attributes) => ({
        ...put(seq, segment, unit([1, segment, 0])),
        clip: name,
        attributes,
      })
      const CHANGES: readonly Change[] = [
        clip(1, 'rain', { path: '/a/rain.wav', seconds: 10, hasVisual: false, 'meta.take': 1 }),
        tagged(2, 1, 'rain', { 'label./m/rain': 0.9 }),
        tagged(3, 2, 'rain', { 'label./m/rain': 0.2, 'label./m/dog': 0.6 }),
        clip(4, 'dog', { path: '/b/dog.mp4', seconds: 30, hasVisual: true, 'meta.take': '1' }),
        tagged(5, 3, 'dog', { 'label./m/dog': 0.7 }),
        tagged(6, 4, 'dog', {}),
      ]
      const eq = (attribute: string, value: AttributeValue): Filter => ({
        op: 'eq',
        attribute,
        value,
      })
      const CASES: readonly (readonly [what: string, filter: Filter, expected: number[]])[] = [
        ['eq', eq('path', '/b/dog.mp4'), [3, 4]],
        ['eq of a boolean', eq('hasVisual', false), [1, 2]],
        ['eq of a number, not of the same text', eq('meta.take', 1), [1, 2]],
        ['eq of an unknown attribute', eq('meta.mood', 'good'), []],
        ['ne', { op: 'ne', attribute: 'path', value: '/b/dog.mp4' }, [1, 2]],
        ['ne of what some lack', { op: 'ne', attribute: 'label./m/dog', value: 0.6 }, [1, 3, 4]],
        ['in', { op: 'in', attribute: 'seconds', values: [30, 99] }, [3, 4]],
        ['in of nothing', { op: 'in', attribute: 'seconds', values: [] }, []],
        ['gte', { op: 'gte', attribute: 'label./m/dog', value: 0.6 }, [2, 3]],
        ['lte of text', { op: 'lte', attribute: 'path', value: '/a/~' }, [1, 2]],
        ['gte of another type', { op: 'gte', attribute: 'path', value: 0 }, []],
        ['exists', { op: 'exists', attribute: 'label./m/rain' }, [1, 2]],
        ['and', { op: 'and', filters: [eq('hasVisual', true), eq('seconds', 30)] }, [3, 4]],
        ['and of none', { op: 'and', filters: [] }, [1, 2, 3, 4]],
        ['or', { op: 'or', filters: [eq('seconds', 30), eq('label./m/rain', 0.9)] }, [1, 3, 4]],
        ['or of none', { op: 'or', filters: [] }, []],
        ['not', { op: 'not', filter: eq('hasVisual', true) }, [1, 2]],
      ]

      for (const [what, filter, expected] of CASES) {
        it(`answers ${what}`, async () => {
          await using index = await open(3)
          await index.apply(CHANGES, 6)

          const query = { vector: EAST, modality: 'audio', limit: 10, filter } as const
          const { neighbours, isExhausted } = await index.nearest(query)

          assert.deepEqual(segments(neighbours), expected)
          assert.equal(isExhausted, true)
        })
      }

      it('follows a change of attributes, and forgets dropped segments', async () => {
        await using index = await open(3)
        await index.apply(CHANGES, 6)
        await index.apply([clip(7, 'dog', { seconds: 10 }), drop(8, 1)], 8)

        const filter = eq('seconds', 10)
        const found = await nearest(index, { vector: EAST, modality: 'audio', limit: 9, filter })

        assert.deepEqual(segments(found), [2, 3, 4])
      })

      it('answers as many as were asked for, however few are allowed', async () => {
        await using index = await open(16)
        const { changes, vectors } = library(3000, 16)
        const attributes = { 'label.rare': 0.5 }
        const rare = changes.map((change, i) =>
          i % 100 === 0 ? { ...change, attributes } : change,
        )
        await index.apply(rare as readonly Change[], changes.length)
        const filter = { op: 'exists', attribute: 'label.rare' } as const
        const query = { vector: vectors[1] as UnitVector, modality: 'audio', filter } as const

        const some = await index.nearest({ ...query, limit: 20 })
        const all = await index.nearest({ ...query, limit: 31 })

        assert.deepEqual([some.neighbours.length, some.isExhausted], [20, false])
        assert.deepEqual([all.neighbours.length, all.isExhausted], [30, true])
        assert.ok(all.neighbours.every(({ segment }) => (segment - 1) % 100 === 0))
        assert.deepEqual(all.neighbours.slice(0, 20), some.neighbours)
      })
    })

    it('names its generation in every answer', async () => {
      await using index = await open(3)
      await index.apply([put(1, 1, EAST)], 1)
      const { generation } = await index.info()

      const answer = await index.nearest({ vector: EAST, modality: 'audio', limit: 1 })

      assert.ok(generation.length > 0)
      assert.equal(answer.generation, generation)
      assert.equal(answer.isExhausted, true)
    })

    it('refuses a query of another size', async () => {
      await using index = await open(3)
      await assert.rejects(nearest(index, { vector: unit([1, 0]), modality: 'audio', limit: 1 }), {
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
