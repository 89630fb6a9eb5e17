import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import { setMissing } from '../../gallery/catalogue/write-clips.js'
import type { Job } from '../../jobs/jobs.js'
import { classifyFiles } from './classify.js'
import type { ScannedFile } from './scan.js'
import { SkippedFiles } from './skipped-files.js'

/** What `scanJob` needs. `owner` is the worker that holds the scan. */
export interface ScanDeps {
  readonly catalogue: Catalogue
  readonly owner: string
  readonly except: readonly string[]
  readonly signal: AbortSignal
}

/** Finds the items of a job and leaves existing items unchanged. Throws LeaseLost. */
export async function scanJob(
  job: Job,
  { catalogue, owner, except, signal }: ScanDeps,
): Promise<void> {
  const { queue } = catalogue
  const warnings: string[] = []
  const flushWarnings = async () => {
    for (const detail of warnings.splice(0)) await queue.addWarning(job.id, detail)
  }
  const skipped = new SkippedFiles()
  const options = {
    except,
    onWarning: (detail: string) => void warnings.push(detail),
    onSkipped: (extension: string) => skipped.add(extension),
  }
  for await (const { todo, unchanged, quarantined, present } of classifyFiles(
    job,
    catalogue,
    options,
  )) {
    signal.throwIfAborted()
    await setMissing(catalogue, present, false)
    await queue.addFound(job.id, owner, {
      files: todo,
      unchanged: paths(unchanged),
      quarantined: paths(quarantined),
    })
    await flushWarnings()
  }
  await flushWarnings()
  await queue.endScan(job.id, owner, skipped.counts)
}

const paths = (files: readonly ScannedFile[]): string[] => files.map(({ path }) => path)
