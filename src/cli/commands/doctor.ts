import { constants, existsSync } from 'node:fs'
import { access, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { hasLibrary, openEncoder } from '../../app/library.js'
import { type App, openApp } from '../../app.js'
import type { Config } from '../../config.js'
import { loadBundle } from '../../encoder/bundle.js'
import type { Encoder } from '../../encoder/encoder.js'
import { measureEncoder } from '../../encoder/measure.js'
import { toAppError } from '../../errors.js'
import { ffmpegBuild } from '../../media/process/ffmpeg-build.js'
import { temporaryFolder } from '../../media/staging/staged-file.js'
import { DiskBudget } from '../../storage/disk-budget.js'
import { type Command, EXIT } from '../command.js'
import { table } from '../table.js'

const RECALL_WANTED = 0.9 // of the index; the hardest data of docs/measures.md gives 0.935

interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
}

export const doctor: Command = {
  name: 'doctor',
  summary:
    'Check ffmpeg, the bundle, the execution provider in use, the library; measure the encoder',
  usage: 'doctor [options]',
  examples: ['earshot doctor', 'EARSHOT_PROVIDERS=cuda earshot doctor --json'],
  mostArgs: 0,
  options: {},
  optionHelp: {},
  async run({ config, output }) {
    const findings: Finding[] = []
    for await (const finding of examine(config)) findings.push(finding)
    const ok = findings.every((finding) => finding.ok)
    output.result({ ok, findings }, () =>
      table(
        ['check', 'state', 'detail'],
        findings.map(({ check, ok, detail }) => [check, ok ? 'ok' : 'FAILED', detail]),
      ),
    )
    return ok ? EXIT.ok : EXIT.failed
  },
}

async function* examine(config: Config): AsyncGenerator<Finding> {
  yield await finding('ffmpeg', async () => (await ffmpegBuild()).version)
  yield await finding('temporary folder', async () => {
    await rm(await temporaryFolder(), { recursive: true })
    return tmpdir()
  })
  yield await finding('data folder', async () => {
    const folder = firstExisting(config.library.dataDir)
    await access(folder, constants.W_OK)
    await new DiskBudget(folder).expectRoom(0)
    return config.library.dataDir
  })
  yield await finding('bundle', async () => {
    const { name, fingerprint, licence } = await loadBundle(config.library.bundleDir)
    return `${name} ${fingerprint.slice(0, 12)}, ${licence}, in ${config.library.bundleDir}`
  })
  try {
    if (!(await hasLibrary(config))) {
      yield* examineEncoder(config)
      yield {
        check: 'library',
        ok: true,
        detail: `none in ${config.library.dataDir} yet: earshot index makes one`,
      }
      return
    }
    await using app = await openApp(config, 'read')
    yield* findingsOf(app.encoder)
    yield await finding('library', async () => {
      const { clips, segments, embeddings, failures } = await app.gallery.catalogue.counts()
      const { whole, missing } = await app.gallery.check()
      const index = whole ? 'index whole' : `index lacks ${missing}`
      return `${clips} clips, ${segments} segments, ${embeddings.audio} audio and ${embeddings.visual} visual embeddings, ${failures} failures, ${index}`
    })
    yield await recall(app)
  } catch (error) {
    yield failed('app', error)
  }
}

/** A folder, or the first above it that exists. */
function firstExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : firstExisting(dirname(folder))
}

async function* examineEncoder(config: Config): AsyncGenerator<Finding> {
  await using encoder = await openEncoder(config)
  yield* findingsOf(encoder)
}

async function* findingsOf(encoder: Encoder): AsyncGenerator<Finding> {
  const { inUse, refused } = encoder.providers
  const reasons = refused
    .map(({ provider, reason }) => `; ${provider} cannot be used: ${reason}`)
    .join('')
  yield { check: 'provider', ok: true, detail: `${inUse} in use${reasons}` }
  yield await finding('encoder', async () => {
    return `${(await measureEncoder(encoder)).toFixed(1)} segments/s, golden numbers reproduced`
  })
}

/** Sampled: what exact search finds, asked from sounds for pictures and from pictures for sounds. */
async function recall({ gallery }: App): Promise<Finding> {
  const { audio, visual } = await gallery.recall()
  const shown = (share: number | null) => share?.toFixed(3) ?? 'nothing to measure'
  const ok = [audio, visual].every((share) => share === null || share >= RECALL_WANTED)
  return {
    check: 'recall@10',
    ok,
    detail: `audio ${shown(audio)}, visual ${shown(visual)} of what exact search finds`,
  }
}

async function finding(check: string, examine: () => Promise<string>): Promise<Finding> {
  try {
    return { check, ok: true, detail: await examine() }
  } catch (error) {
    return failed(check, error)
  }
}

function failed(check: string, error: unknown): Finding {
  const { code, message } = toAppError(error)
  return { check, ok: false, detail: `${code}: ${message}` }
}
