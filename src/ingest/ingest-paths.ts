import { type ErrorCode, toAppError } from '../errors.js'
import { fileFacts } from './file-facts.js'
import { inParallel } from './in-parallel.js'
import { type Ingested, type IngestParts, ingestFile } from './ingest-file.js'
import { type ScanOptions, scan } from './scan.js'

/** More files at once than cores: while one waits for its last batch, others decode. */
export const FILES_PER_THREAD = 2

export interface IngestFailure {
  readonly path: string
  readonly code: ErrorCode
  readonly detail: string
}

export interface IngestReport {
  readonly indexed: number
  readonly unchanged: number
  readonly partial: number
  readonly failed: readonly IngestFailure[]
  readonly seconds: number
}

export interface IngestProgress {
  readonly files: number
  readonly done: number
  readonly path: string // the file just done, and how it ended
  readonly outcome: Ingested['outcome'] | IngestFailure
}

export interface IngestPathsOptions extends ScanOptions {
  readonly concurrency: number // files on their way at once
  readonly onProgress: (progress: IngestProgress) => void
}

/** Indexes files and folders. A file that fails is recorded and reported with its code while the rest go on. */
export async function ingestPaths(
  paths: readonly string[],
  parts: IngestParts,
  options: IngestPathsOptions,
): Promise<IngestReport> {
  const started = performance.now()
  const files: string[] = []
  for await (const file of scan(paths, options)) files.push(file)
  const counts = { indexed: 0, unchanged: 0, partial: 0 }
  const failed: IngestFailure[] = []
  let done = 0
  await inParallel(files, options.concurrency, async (path) => {
    const outcome = await ingestOrFail(path, parts)
    if (typeof outcome === 'string') counts[outcome]++
    else failed.push(outcome)
    done++
    options.onProgress({ files: files.length, done, path, outcome })
  })
  await parts.gallery.follow(parts.signal)
  return { ...counts, failed, seconds: Math.round(performance.now() - started) / 1000 }
}

async function ingestOrFail(path: string, parts: IngestParts): Promise<IngestProgress['outcome']> {
  try {
    return (await ingestFile(path, parts)).outcome
  } catch (error) {
    parts.signal?.throwIfAborted()
    const { code, message: detail } = toAppError(error)
    const facts = await fileFacts(path).catch(() => ({ bytes: 0, mtimeMs: 0 }))
    await parts.gallery.catalogue.fail({ path, code, detail, ...facts })
    return { path, code, detail }
  }
}
