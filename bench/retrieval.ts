/**
 * Measures retrieval on a folder of clips: `node dist/bench/retrieval.js <folder>`. Indexes the
 * clips, then searches pictures by the sound of each clip and sounds by its picture. The correct
 * answer is the clip itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, openApp } from '../src/app.js'
import { mapConcurrent } from '../src/concurrency/map-concurrent.js'
import { readConfig } from '../src/config.js'
import { MODALITIES, type Modality, otherModality } from '../src/domain/modality.js'
import { ingestPaths } from '../src/ingest/runner/ingest-paths.js'
import { SEARCH_LIMITS } from '../src/search/limits.js'
import { search } from '../src/search/search.js'
import { OpenedFile } from '../src/storage/opened-file.js'
import { interval, median } from './statistics.js'

async function benchRetrieval(folder: string): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  try {
    await using app = await openApp(readConfig({ ...process.env, EARSHOT_DATA: dataDir }))
    const options = {
      concurrency: app.config.encoder.threads,
      onWarning: console.error,
      onProgress: () => {},
    }
    const report = await ingestPaths([folder], app, options)
    const both = (await app.gallery.catalogue.clips({ limit: SEARCH_LIMITS.hits })).filter(
      (clip) => clip.hasAudio && clip.hasVisual,
    )
    console.log(
      `${both.length} clips with sound and picture, ${report.failed.length} files failed, ` +
        `bundle ${app.encoder.bundle.name}`,
    )
    for (const from of MODALITIES) {
      const ranks: number[] = []
      await mapConcurrent(both, app.config.encoder.threads, async ({ id, path }) => {
        ranks.push(await rankOf(id, path, from, app))
      })
      console.log(`${from} → ${otherModality(from)}  ${describe(ranks)}`)
    }
  } finally {
    await rm(dataDir, { recursive: true })
  }
}

/** Returns the rank of a clip after all clips of equal score, or Infinity if it is not a hit. */
async function rankOf(id: string, path: string, from: Modality, app: App): Promise<number> {
  await using file = await OpenedFile.open(path)
  const query = { kind: 'file', file, from, to: otherModality(from) } as const
  const { hits } = await search({ query, limit: SEARCH_LIMITS.hits }, app)
  const own = hits.find(({ clip }) => clip.id === id)
  return own ? hits.filter(({ score }) => score >= own.score).length : Infinity
}

function describe(ranks: readonly number[]): string {
  const recall = (k: number) => (of: readonly number[]) =>
    (100 * of.filter((rank) => rank <= k).length) / of.length
  const figures = [1, 5, 10].map((k) => {
    const [low, high] = interval(ranks, recall(k))
    return `R@${k} ${recall(k)(ranks).toFixed(1)} % [${low.toFixed(0)}, ${high.toFixed(0)}]`
  })
  const sample = `(n = ${ranks.length}, 95 % bootstrap intervals)`
  return `${figures.join('  ')}  median rank ${median(ranks)}  ${sample}`
}

const [folder] = process.argv.slice(2)
if (!folder) throw new Error('Usage: node dist/bench/retrieval.js <folder of clips>')
await benchRetrieval(folder)
