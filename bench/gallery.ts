import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { UnitVector } from '../src/domain/vector.js'
import type { Change } from '../src/gallery/catalogue/change-log.js'
import { HnswIndex } from '../src/gallery/hnsw/hnsw-index.js'
import { MemoryIndex } from '../src/gallery/memory/memory-index.js'
import type { VectorIndex } from '../src/gallery/vector/vector-index.js'
import { clustered, seeded } from '../test/contract/vectors.js'

const OF_A_CLUSTER = 200
const QUERIES = 200
const SEED = 7
const LIMIT = 10
const PAGE = 512

// The distribution of the vectors: clusters, as in a library, or one broad cloud. A cloud is harder
// for a graph.
const DATA = {
  clusters: (dimension: number, vectors: number) =>
    clustered({
      dimension,
      clusters: Math.ceil(vectors / OF_A_CLUSTER),
      spread: 0.8,
      random: seeded(SEED),
    }),
  cloud: (dimension: number) =>
    clustered({ dimension, clusters: 1, spread: 2, random: seeded(SEED) }),
}
type Layout = keyof typeof DATA
const LAYOUTS = Object.keys(DATA) as Layout[]

export interface GalleryBench {
  readonly sizes: readonly number[]
  readonly dimension: number
  readonly data: readonly Layout[]
}

const STANDARD: GalleryBench = { sizes: [10_000, 100_000], dimension: 256, data: LAYOUTS }

interface GalleryRow {
  readonly buildPerSecond: number
  readonly snapshotSeconds: number // to write, hash and fsync
  readonly loadSeconds: number
  readonly hnswMs: Quantiles
  readonly exactMs: Quantiles
  readonly recallAt10: number
}

interface Quantiles {
  readonly median: number
  readonly p95: number
}

/** Compares the HNSW index with exact search on the same vectors. Prints a row for each size. */
export async function benchGallery({
  sizes,
  dimension,
  data,
}: GalleryBench = STANDARD): Promise<void> {
  console.log(
    `gallery: ${dimension} numbers; clusters of ${OF_A_CLUSTER} with cosines about 0.6 inside, ` +
      `or one cloud with cosines about 0.2; ${QUERIES} queries of the same kind, ${LIMIT} hits; ` +
      `${cpus()[0]?.model}, one thread`,
  )
  for (const [layout, vectors] of sizes.flatMap((size) =>
    data.map((layout) => [layout, size] as const),
  )) {
    const row = await benchSize(layout, dimension, vectors)
    console.log(
      `${vectors} vectors in ${layout}: build ${row.buildPerSecond.toFixed(0)}/s, ` +
        `snapshot ${row.snapshotSeconds.toFixed(1)} s, load ${row.loadSeconds.toFixed(1)} s, ` +
        `search ${show(row.hnswMs)}, exact ${show(row.exactMs)}, ` +
        `recall@10 ${row.recallAt10.toFixed(4)}`,
    )
  }
}

async function benchSize(data: Layout, dimension: number, vectors: number): Promise<GalleryRow> {
  const draw = DATA[data](dimension, vectors)
  const library = Array.from({ length: vectors }, draw)
  const queries = Array.from({ length: QUERIES }, draw)
  const dir = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    const log = { historyTokenAt: async () => '' }
    const options = {
      dir,
      dimension,
      fingerprint: 'bench',
      log,
      snapshotAfter: Number.POSITIVE_INFINITY,
    }
    const built = await HnswIndex.open(options)
    const buildSeconds = await timed(() => fill(built, library))
    const snapshotSeconds = await timed(() => built[Symbol.asyncDispose]())
    const start = performance.now()
    await using hnsw = await HnswIndex.open(options)
    const loadSeconds = (performance.now() - start) / 1000
    const exact = new MemoryIndex(dimension)
    await fill(exact, library)
    const [approximate, truth] = [await ask(hnsw, queries), await ask(exact, queries)]
    return {
      buildPerSecond: vectors / buildSeconds,
      snapshotSeconds,
      loadSeconds,
      hnswMs: approximate.ms,
      exactMs: truth.ms,
      recallAt10: recall(approximate.answers, truth.answers),
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function fill(index: VectorIndex, library: readonly UnitVector[]): Promise<void> {
  for (let from = 0; from < library.length; from += PAGE) {
    const changes = library.slice(from, from + PAGE).map((vector, i): Change => {
      const seq = from + i + 1
      return {
        seq,
        op: 'put',
        segment: seq,
        clip: String(seq),
        modality: 'audio',
        vector,
        attributes: {},
      }
    })
    await index.apply(changes, from + changes.length)
  }
}

async function ask(index: VectorIndex, queries: readonly UnitVector[]) {
  const times: number[] = []
  const answers: ReadonlySet<number>[] = []
  for (const vector of queries) {
    const start = performance.now()
    const { neighbours } = await index.nearest({ vector, modality: 'audio', limit: LIMIT })
    times.push(performance.now() - start)
    answers.push(new Set(neighbours.map(({ segment }) => segment)))
  }
  return { answers, ms: quantiles(times) }
}

function recall(
  found: readonly ReadonlySet<number>[],
  truth: readonly ReadonlySet<number>[],
): number {
  const hits = truth.map(
    (wanted, i) => [...wanted].filter((segment) => found[i]?.has(segment)).length / wanted.size,
  )
  return hits.reduce((sum, each) => sum + each, 0) / hits.length
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

function quantiles(times: readonly number[]): Quantiles {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
  return { median: at(0.5), p95: at(0.95) }
}

const show = ({ median, p95 }: Quantiles): string =>
  `${median.toFixed(2)} ms (p95 ${p95.toFixed(2)})`

// Other libraries: `node dist/bench/gallery.js 300000 1000000 --dimension 64 --data clusters`.
const [, script = '', ...args] = process.argv
if (import.meta.url === pathToFileURL(script).href) {
  const options = { dimension: { type: 'string' }, data: { type: 'string' } } as const
  const { positionals, values } = parseArgs({ args, options, allowPositionals: true })
  await benchGallery({
    sizes: positionals.length > 0 ? positionals.map(Number) : STANDARD.sizes,
    dimension: Number(values.dimension ?? STANDARD.dimension),
    data: LAYOUTS.filter((layout) => layout === (values.data ?? layout)),
  })
}
