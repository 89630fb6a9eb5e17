import { setImmediate } from 'node:timers/promises'
import type { Seq } from '../../domain/ids.js'
import { type Modality, otherModality } from '../../domain/modality.js'
import { dot, type UnitVector } from '../../domain/vector.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import { TopK } from './top-k.js'
import type { VectorIndex } from './vector-index.js'

const K = 10
const QUERIES = 16 // per modality; each one is compared with every embedding of the other modality
const PAGE = 512

/**
 * Recall@10 of the index against exact search, per modality. A value is null if the modality has no
 * embeddings or no queries.
 */
export type Recall = Readonly<Record<Modality, number | null>>

interface SampledQuery {
  readonly to: Modality
  readonly vector: UnitVector
  readonly best: TopK // by exact search
}

/**
 * Returns the recall of the index. It queries pictures with sounds and sounds with pictures. The
 * sample is spread evenly over the library.
 */
export async function measureRecall(
  catalogue: Catalogue,
  index: VectorIndex,
  signal?: AbortSignal,
): Promise<Recall> {
  const queries = await sample(catalogue, signal)
  for await (const { modality, segment, vector } of embeddings(catalogue, signal)) {
    for (const { to, vector: query, best } of queries) {
      if (to === modality) best.push({ segment, score: dot(query, vector) })
    }
  }
  const found = await Promise.all(queries.map((each) => share(each, index, signal)))
  const mean = (modality: Modality) => {
    const shares = found.filter((share, i) => queries[i]?.to === modality && !Number.isNaN(share))
    return shares.length > 0 ? shares.reduce((sum, each) => sum + each, 0) / shares.length : null
  }
  return { audio: mean('audio'), visual: mean('visual') }
}

async function sample(
  catalogue: Catalogue,
  signal?: AbortSignal,
): Promise<readonly SampledQuery[]> {
  const counts = (await catalogue.counts()).embeddings
  const seen = { audio: 0, visual: 0 }
  const queries: SampledQuery[] = []
  for await (const { modality, vector } of embeddings(catalogue, signal)) {
    const every = Math.ceil(counts[modality] / QUERIES)
    if (seen[modality]++ % every === 0)
      queries.push({ to: otherModality(modality), vector, best: new TopK(K) })
  }
  return queries
}

async function share(
  { to, vector, best }: SampledQuery,
  index: VectorIndex,
  signal?: AbortSignal,
): Promise<number> {
  const found = new Set(
    (await index.nearest({ vector, modality: to, limit: K }, signal)).neighbours.map(
      ({ segment }) => segment,
    ),
  )
  return best.neighbours.filter(({ segment }) => found.has(segment)).length / best.neighbours.length
}

async function* embeddings(catalogue: Catalogue, signal?: AbortSignal) {
  for (let after: Seq = 0, end = await catalogue.log.head(); after < end; ) {
    signal?.throwIfAborted()
    const { changes, cursor } = await catalogue.log.read(after, PAGE)
    for (const change of changes) if (change.op === 'put') yield change
    after = cursor
    await setImmediate()
  }
}
