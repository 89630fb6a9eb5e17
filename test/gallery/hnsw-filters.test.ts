import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Attributes, AttributeValue } from '../../src/domain/attributes.js'
import type { SegmentId } from '../../src/domain/ids.js'
import { MODALITIES, type Modality } from '../../src/domain/modality.js'
import type { Change } from '../../src/gallery/catalogue/change-log.js'
import { HnswIndex } from '../../src/gallery/hnsw/hnsw-index.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import type { Filter } from '../../src/gallery/vector/filter.js'
import type { NearestQuery, VectorIndex } from '../../src/gallery/vector/vector-index.js'
import { drop, segments } from '../contract/vector-index.js'
import { freshlySeeded, randomUnit } from '../contract/vectors.js'
import { newDir } from './places.js'

const DIMENSION = 8
const NAMES = ['path', 'seconds', 'meta.a', 'label.a', 'label.b']
const VALUES: readonly AttributeValue[] = [
  0,
  1,
  2.5,
  -3,
  1e300,
  true,
  false,
  '',
  '1',
  'a',
  'é',
  'b',
]
const CLIPS = 40
const LOG = { historyTokenAt: async (seq: number) => `row ${seq}` }
const OPTIONS = { dimension: DIMENSION, fingerprint: 'one', log: LOG }

it('the hnsw index filters as exact search does, and after it was opened again', async (t) => {
  const random = freshlySeeded(t)
  const library = new RandomLibrary(random)
  const exact = new MemoryIndex(DIMENSION)
  const dir = newDir()
  for (let round = 0; round < 4; round++) {
    await using index = await HnswIndex.open({ dir, ...OPTIONS })
    for (let page = 0; page < 10; page++) {
      const changes = Array.from({ length: 10 }, () => library.transaction()).flat()
      for (const each of [exact, index]) await each.apply(changes, library.seq)
    }
    for (let i = 0; i < 50; i++) await compare(index, exact, library.query())
  }
})

/** Compares all matches of the query, and the number of hits for a smaller limit. */
async function compare(index: VectorIndex, exact: VectorIndex, query: NearestQuery): Promise<void> {
  const what = JSON.stringify(query.filter)
  const [found, expected] = await Promise.all([index.nearest(query), exact.nearest(query)])
  const sorted = (each: typeof found) => segments(each.neighbours).sort((a, b) => a - b)
  assert.deepEqual(sorted(found), sorted(expected), what)
  assert.deepEqual(found.isExhausted, true, what)

  const few = await index.nearest({ ...query, limit: 5 })
  const allowed = new Set(segments(expected.neighbours))
  assert.equal(few.neighbours.length, Math.min(5, allowed.size), what)
  assert.equal(few.isExhausted, allowed.size <= 5, what)
  assert.ok(
    segments(few.neighbours).every((each) => allowed.has(each)),
    what,
  )
}

/** Draws changes in the order of a catalogue's log: drops, then a clip's attributes, then puts. */
class RandomLibrary {
  seq = 0
  #segment: SegmentId = 0
  readonly #clips = new Map<string, SegmentId[]>()
  readonly #vectors

  constructor(private readonly random: () => number) {
    this.#vectors = Array.from({ length: 300 }, () => randomUnit(DIMENSION, random))
  }

  transaction(): readonly Change[] {
    const clip = `clip-${this.#below(CLIPS)}`
    if (this.#isOf(0.2)) return this.#dropOne(clip)
    const drops = (this.#clips.get(clip) ?? []).map((segment) => drop(++this.seq, segment))
    this.#clips.delete(clip)
    if (this.#isOf(0.2)) return drops
    return [...drops, this.#described(clip), ...this.#puts(clip), ...this.#redescribed(clip)]
  }

  query(): NearestQuery {
    const vector = randomUnit(DIMENSION, this.random)
    const except = Array.from({ length: this.#below(3) }, () => this.#below(this.#segment))
    return { vector, modality: this.#one(MODALITIES), limit: 1e6, except, filter: this.#filter(3) }
  }

  #dropOne(clip: string): readonly Change[] {
    const segment = this.#clips.get(clip)?.pop()
    return segment === undefined ? [] : [drop(++this.seq, segment)]
  }

  #described(clip: string): Change {
    return { seq: ++this.seq, op: 'attributes', clip, attributes: this.#attributes() }
  }

  /** A later change of the attributes, or none. */
  #redescribed(clip: string): readonly Change[] {
    return this.#isOf(0.3) ? [this.#described(clip)] : []
  }

  #puts(clip: string): readonly Change[] {
    const ids = Array.from({ length: this.#below(12) }, () => ++this.#segment)
    this.#clips.set(clip, ids)
    return ids.flatMap((segment) => {
      const attributes = this.#attributes()
      const modalities: readonly Modality[] = this.#one([['audio'], ['visual'], MODALITIES])
      return modalities.map((modality) => {
        const vector = this.#one(this.#vectors)
        return { seq: ++this.seq, op: 'put', segment, clip, modality, vector, attributes }
      })
    })
  }

  #attributes(): Attributes {
    const names = NAMES.filter(() => this.#isOf(0.5))
    return Object.fromEntries(names.map((name) => [name, this.#one(VALUES)]))
  }

  #filter(depth: number): Filter {
    const attribute = this.#one([...NAMES, 'unknown'])
    const some = <T>(draw: () => T) => Array.from({ length: this.#below(4) }, draw)
    const leaves: readonly (() => Filter)[] = [
      () => ({ op: this.#one(['eq', 'ne']), attribute, value: this.#one(VALUES) }),
      () => ({ op: 'in', attribute, values: some(() => this.#one(VALUES)) }),
      () => ({ op: this.#one(['gte', 'lte']), attribute, value: this.#one([0, 1, '', 'a']) }),
      () => ({ op: 'exists', attribute }),
    ]
    const trees: readonly (() => Filter)[] = [
      () => ({ op: this.#one(['and', 'or']), filters: some(() => this.#filter(depth - 1)) }),
      () => ({ op: 'not', filter: this.#filter(depth - 1) }),
    ]
    return this.#one(depth > 0 ? [...leaves, ...trees, ...trees] : leaves)()
  }

  #one<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  #isOf(share: number): boolean {
    return this.random() < share
  }
}
