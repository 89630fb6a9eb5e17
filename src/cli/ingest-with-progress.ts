import type { App } from '../app.js'
import { type IngestReport, ingestPaths } from '../ingest/runner/ingest-paths.js'
import type { JobRequest } from '../jobs/jobs.js'
import type { Invocation } from './invocation.js'
import { printable } from './printable.js'
import { progressTo } from './progress.js'

/** Sets how files are ingested. */
export interface IngestOptions extends Partial<Omit<JobRequest, 'sources'>> {
  readonly concurrency: number
  readonly except?: readonly string[]
}

/** Ingests files. Shows progress on stderr, and removes the bar before it returns. */
export async function ingestWithProgress(
  paths: readonly string[],
  { encoder, gallery, decoders }: App,
  options: IngestOptions,
  { output, signal }: Pick<Invocation, 'output' | 'signal'>,
): Promise<IngestReport> {
  using progress = progressTo(process.stderr)
  const deps = { encoder, gallery, decoders, signal }
  return await ingestPaths(paths, deps, {
    ...options,
    onWarning: (detail) => output.message(printable(detail)),
    onProgress: (step) => progress.update(step),
  })
}
