import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { UnitVector } from '../src/domain/vector.js'
import { HnswIndex } from '../src/gallery/hnsw/hnsw-index.js'
import { SegmentNodeMap } from '../src/gallery/hnsw/segment-node-map.js'
import { SegmentTable } from '../src/gallery/hnsw/segment-table.js'
import type { VectorIndex } from '../src/gallery/vector/vector-index.js'
import { put } from '../test/contract/vector-index.js'
import { clustered, seeded } from '../test/contract/vectors.js'

const SIZES = [20_000, 100_000]
const DIMENSION = 256
const OF_A_CLUSTER = 200
const APPLIED = 10_000
const PAGE = 512
const LIMIT = 50
const AT_REST = 2_000 // queries
const PAUSE_MS = 4 // maximum between queries, so that a query can hit any moment of an insertion

/** Measures queries without changes and during changes. Prints a row for each size. */
export async function benchFollowing(sizes: readonly number[] = SIZES): Promise<void> {
  console.log(
    `search while following: ${DIMENSION} numbers, ${LIMIT} hits, ` +
      `${APPLIED} vectors applied in pages of ${PAGE}`,
  )
  const bytes = sizes.map(mapBytes) // runs first, before other arrays are freed
  for (const [i, held] of sizes.entries()) await benchSize(held, bytes[i] as number)
}

async function benchSize(held: number, bytes: number): Promise<void> {
  const clusters = Math.ceil(held / OF_A_CLUSTER)
  const draw = clustered({ dimension: DIMENSION, clusters, random: seeded(7) })
  const dir = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    const log = { historyTokenAt: async () => undefined } // no snapshots
    const fingerprint = 'bench'
    await using index = await HnswIndex.open({ dir, dimension: DIMENSION, fingerprint, log })
    await fill(index, draw, 0, held)
    const rest = await ask(index, draw, (asked) => asked === AT_REST)
    const { applying, blockedMs, seconds } = await askWhileFilling(index, draw, held)
    console.log(
      `${held} vectors: at rest ${show(rest)}; ` +
        `while ${(APPLIED / seconds).toFixed(0)}/s are applied ${show(applying)}; ` +
        `ratio of p99 ${(at(applying, 0.99) / at(rest, 0.99)).toFixed(2)}; ` +
        `main thread blocked for ${blockedMs.toFixed(1)} ms at most; ` +
        `maps ${bytes.toFixed(1)} bytes per vector`,
    )
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function askWhileFilling(index: VectorIndex, draw: () => UnitVector, held: number) {
  const fresh = Array.from({ length: APPLIED }, draw)
  const queries = Array.from({ length: APPLIED }, draw)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let isFilled = false
  const start = performance.now()
  const filling = fill(index, () => fresh.pop() as UnitVector, held, APPLIED).then(() => {
    isFilled = true
  })
  const applying = await ask(
    index,
    () => queries.pop() as UnitVector,
    () => isFilled,
  )
  await filling
  delay.disable()
  return { applying, blockedMs: delay.max / 1e6, seconds: (performance.now() - start) / 1000 }
}

async function fill(
  index: VectorIndex,
  draw: () => UnitVector,
  held: number,
  count: number,
): Promise<void> {
  for (let from = 0; from < count; from += PAGE) {
    const length = Math.min(PAGE, count - from)
    const changes = Array.from({ length }, (_, i) => {
      const seq = held + from + i + 1
      return put(seq, seq, draw())
    })
    await index.apply(changes, held + from + length)
  }
}

/** Returns the durations of the queries in ms, in ascending order. */
async function ask(
  index: VectorIndex,
  draw: () => UnitVector,
  isEnough: (asked: number) => boolean,
): Promise<readonly number[]> {
  const random = seeded(3)
  const times: number[] = []
  while (!isEnough(times.length)) {
    const vector = draw()
    await sleep(random() * PAUSE_MS)
    const start = performance.now()
    await index.nearest({ vector, modality: 'audio', limit: LIMIT })
    times.push(performance.now() - start)
  }
  return times.sort((a, b) => a - b)
}

/** Returns the bytes of the arrays that map segments to nodes and back. */
function mapBytes(vectors: number): number {
  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  const collect = () => [gc(), gc()] // the second waits for the arrays that the first frees
  collect()
  const before = process.memoryUsage().arrayBuffers
  const [table, nodes] = [new SegmentTable(), new SegmentNodeMap()]
  for (let i = 0; i < vectors; i++) nodes.attach(table.add(i + 1), nodes.newNode())
  collect()
  const bytes = process.memoryUsage().arrayBuffers - before
  return nodes.count === table.rows ? bytes / vectors : Number.NaN
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
}

const show = (times: readonly number[]): string =>
  `p50 ${at(times, 0.5).toFixed(2)} ms, p99 ${at(times, 0.99).toFixed(2)} ms ` +
  `(${times.length} queries)`

// `node dist/bench/following.js 20000` measures a library of another size.
const [, script = '', ...args] = process.argv
if (import.meta.url === pathToFileURL(script).href) {
  await benchFollowing(args.length > 0 ? args.map(Number) : SIZES)
}
