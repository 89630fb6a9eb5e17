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

const BATCH = 500 // files per catalogue lookup and per addition to a job

/** Files of a scan, classified by what a job has to do with them. */
export interface ClassifiedFiles {
  readonly todo: readonly ScannedFile[]
  readonly unchanged: readonly ScannedFile[]
  readonly quarantined: readonly ScannedFile[] // failed before, unchanged since
  readonly present: readonly ClipId[] // clips marked as missing whose files exist again
}

/** Options of `classifyFiles`. */
export interface ClassifyOptions {
  readonly except?: readonly string[]
  readonly onWarning: (detail: string) => void
  readonly onSkipped?: (extension: string) => void
}

/**
 * Scans the sources of a job and yields their files in batches, classified. Skips offline sources.
 */
export async function* classifyFiles(
  { sources, mode, ...request }: JobRequest,
  { files }: Pick<Catalogue, 'files'>,
  options: ClassifyOptions,
): AsyncGenerator<ClassifiedFiles> {
  const online = []
  for (const source of sources) if (!(await isSourceOffline(source, files))) online.push(source)
  for await (const batch of batches(scan(online, { ...request, ...options }), BATCH)) {
    yield partition(batch, await files.known(batch.map(({ path }) => path)), mode)
  }
}

/** Returns true if the source does not exist but has clips. `markMissing` reports such a source. */
async function isSourceOffline(source: string, files: FileReader): Promise<boolean> {
  const exists = await stat(pathBytes(source)).then(
    () => true,
    (error) => !isNotFound(error),
  )
  return !exists && (await files.clipsUnder(source, { limit: 1 })).length > 0
}

function partition(
  batch: readonly ScannedFile[],
  known: ReadonlyMap<string, KnownFile>,
  mode: JobMode,
): ClassifiedFiles {
  const classified = {
    todo: [] as ScannedFile[],
    unchanged: [] as ScannedFile[],
    quarantined: [] as ScannedFile[],
  }
  for (const file of batch) classified[classify(file, known.get(file.path), mode)].push(file)
  const present = classified.unchanged.flatMap(({ path }) => {
    const clip = known.get(path)?.clip
    return clip?.isMissing ? [clip.id] : []
  })
  return { ...classified, present }
}

/** Classifies a file. A failed file that is a source itself is retried: the user names it. */
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
