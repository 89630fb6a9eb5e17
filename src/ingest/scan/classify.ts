import { stat } from 'node:fs/promises'
import type { ClipId } from '../../domain/ids.js'
import { pathBytes } from '../../domain/path-text.js'
import { isNotFound } from '../../errors.js'
import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import type { FileReader, KnownFile } from '../../gallery/catalogue/files.js'
import type { JobMode, JobRequest } from '../../jobs/jobs.js'
import { isWorthRetrying } from '../../jobs/retry-policy.js'
import { isSameStat } from '../../storage/file-stat.js'
import { type ScannedFile, scan } from './scan.js'

const BATCH = 500 // files looked up, and added to a job, at once

/** FileReader of a scan, told apart by what is to be done with them. */
export interface ClassifiedFiles {
  readonly todo: readonly ScannedFile[]
  readonly unchanged: readonly ScannedFile[]
  readonly quarantined: readonly ScannedFile[] // failed before, and are as they were
  readonly present: readonly ClipId[] // clips that were missing and whose files are there again
}

export interface ClassifyOptions {
  readonly except?: readonly string[]
  readonly onWarning: (detail: string) => void
  readonly onSkipped?: (extension: string) => void
}

/** Scans what a job is to index and says of each file whether it has to be worked on. */
export async function* classifyFiles(
  { sources, mode, ...request }: JobRequest,
  { files }: Pick<Catalogue, 'files'>,
  options: ClassifyOptions,
): AsyncGenerator<ClassifiedFiles> {
  const reachable = []
  for (const source of sources) if (!(await isSourceOffline(source, files))) reachable.push(source)
  for await (const batch of batches(scan(reachable, { ...request, ...options }), BATCH)) {
    yield partition(batch, await files.known(batch.map(({ path }) => path)), mode)
  }
}

/** A source that is gone, and of which clips are known, is no file that cannot be found: see mark-missing.ts. */
async function isSourceOffline(source: string, files: FileReader): Promise<boolean> {
  const isThere = await stat(pathBytes(source)).then(
    () => true,
    (error) => !isNotFound(error),
  )
  return !isThere && (await files.clipsUnder(source, { limit: 1 })).length > 0
}

function partition(
  batch: readonly ScannedFile[],
  known: ReadonlyMap<string, KnownFile>,
  mode: JobMode,
): ClassifiedFiles {
  const told = {
    todo: [] as ScannedFile[],
    unchanged: [] as ScannedFile[],
    quarantined: [] as ScannedFile[],
  }
  for (const file of batch) told[classify(file, known.get(file.path), mode)].push(file)
  const present = told.unchanged.flatMap(({ path }) => {
    const clip = known.get(path)?.clip
    return clip?.isMissing ? [clip.id] : []
  })
  return { ...told, present }
}

/** A file that is named itself is tried again although it failed before: someone has asked for it. */
function classify(
  file: ScannedFile,
  known: KnownFile | undefined,
  mode: JobMode,
): keyof Omit<ClassifiedFiles, 'present'> {
  if (mode === 'all' || !known) return 'todo'
  const { clip, failure } = known
  if (clip && (mode === 'missing' || isSameStat(clip, file))) return 'unchanged'
  return failure && isSameStat(failure, file) && !isWorthRetrying(failure.code) && !file.isNamed
    ? 'quarantined'
    : 'todo'
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
