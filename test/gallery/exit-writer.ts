import { HnswIndex } from '../../src/gallery/hnsw/hnsw-index.js'
import { put } from '../contract/vector-index.js'
import { randomUnit, seeded } from '../contract/vectors.js'

export const EXIT_CODE = 3

/** Exits while an index applies changes: `node exit-writer.js <dir> <milliseconds>`. */
const [, , dir = '', delayMs = ''] = process.argv
if (delayMs !== '') {
  const random = seeded(1)
  const log = { historyTokenAt: async () => undefined }
  const index = await HnswIndex.open({ dir, dimension: 256, fingerprint: 'one', log })
  const changes = Array.from({ length: 5000 }, (_, i) => put(i + 1, i + 1, randomUnit(256, random)))
  void index.apply(changes, changes.length)
  setTimeout(() => process.exit(EXIT_CODE), Number(delayMs))
}
