import { hasLibrary, openEncoder } from '../../../app/library.js'
import { type App, openApp } from '../../../app.js'
import type { Config } from '../../../config.js'
import { checkEncoder } from './encoder.js'
import { type Finding, failed, findingOf } from './finding.js'

const MIN_RECALL = 0.9 // the hardest data of docs/measures.md gives 0.935

/** Yields findings about the encoder and the library. */
export async function* checkLibrary(config: Config): AsyncGenerator<Finding> {
  try {
    if (await hasLibrary(config)) yield* checkExisting(config)
    else yield* checkMissing(config)
  } catch (error) {
    yield failed('app', error)
  }
}

async function* checkMissing(config: Config): AsyncGenerator<Finding> {
  await using encoder = await openEncoder(config)
  yield* checkEncoder(encoder)
  const detail = `none in ${config.library.dataDir}: earshot index creates one`
  yield { check: 'library', ok: true, detail }
}

async function* checkExisting(config: Config): AsyncGenerator<Finding> {
  await using app = await openApp(config, 'read')
  yield* checkEncoder(app.encoder)
  yield await findingOf('library', () => checkContents(app))
  yield await checkRecall(app)
}

async function checkContents({ gallery }: App): Promise<string> {
  const { clips, segments, embeddings, failures } = await gallery.catalogue.counts()
  const { whole, missing } = await gallery.check()
  return [
    `${clips} clips`,
    `${segments} segments`,
    `${embeddings.audio} audio and ${embeddings.visual} visual embeddings`,
    `${failures} failures`,
    whole ? 'index complete' : `index lacks ${missing}`,
  ].join(', ')
}

/** Compares the index with exact search, from sounds to pictures and from pictures to sounds. */
async function checkRecall({ gallery }: App): Promise<Finding> {
  const { audio, visual } = await gallery.recall()
  const shown = (share: number | null) => share?.toFixed(3) ?? 'not measurable'
  const ok = [audio, visual].every((share) => share === null || share >= MIN_RECALL)
  const detail = `audio ${shown(audio)}, visual ${shown(visual)} of the results of exact search`
  return { check: 'recall@10', ok, detail }
}
