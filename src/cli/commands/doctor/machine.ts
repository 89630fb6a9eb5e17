import { constants, existsSync } from 'node:fs'
import { access, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import type { Config } from '../../../config.js'
import { loadBundle } from '../../../encoder/bundle.js'
import { ffmpegBuild } from '../../../media/process/ffmpeg-build.js'
import { temporaryFolder } from '../../../media/staging/staged-file.js'
import { DiskBudget } from '../../../storage/disk-budget.js'
import { type Finding, findingOf } from './finding.js'

/** Yields a finding for each part that a library needs. */
export async function* checkMachine(config: Config): AsyncGenerator<Finding> {
  yield await findingOf('ffmpeg', async () => (await ffmpegBuild()).version)
  yield await findingOf('temporary folder', checkTemporaryFolder)
  yield await findingOf('data folder', () => checkDataFolder(config))
  yield await findingOf('bundle', () => checkBundle(config))
}

async function checkTemporaryFolder(): Promise<string> {
  await rm(await temporaryFolder(), { recursive: true })
  return tmpdir()
}

async function checkDataFolder({ library: { dataDir } }: Config): Promise<string> {
  const folder = firstExisting(dataDir)
  await access(folder, constants.W_OK)
  await new DiskBudget(folder).expectRoom(0)
  return dataDir
}

async function checkBundle({ library: { bundleDir } }: Config): Promise<string> {
  const { name, fingerprint, licence } = await loadBundle(bundleDir)
  return `${name} ${fingerprint.slice(0, 12)}, ${licence}, in ${bundleDir}`
}

/** Returns a folder, or its first parent that exists. */
function firstExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : firstExisting(dirname(folder))
}
