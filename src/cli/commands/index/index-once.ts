import type { App } from '../../../app.js'
import { IngestInterrupted, type IngestReport } from '../../../ingest/runner/ingest-paths.js'
import type { JobRequest } from '../../../jobs/jobs.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { ingestWithProgress } from '../../ingest-with-progress.js'
import { Interrupted } from '../../interrupt.js'
import type { Invocation } from '../../invocation.js'
import { formatReport } from './report.js'

type Context = Pick<Invocation, 'config' | 'output' | 'signal'>

/** Indexes the sources of a request once. Prints the report of an interrupted job too. */
export async function indexOnce(
  { sources, ...request }: JobRequest,
  app: App,
  concurrency: number,
  { config, output, signal }: Context,
): Promise<ExitCode> {
  const options = { ...request, concurrency, except: [config.library.dataDir] }
  try {
    const report = await ingestWithProgress(sources, app, options, { output, signal })
    output.result(report, () => formatReport(report))
    return exitCodeOf(report)
  } catch (error) {
    if (!(error instanceof IngestInterrupted)) throw error
    output.result(error.report, () => formatReport(error.report))
    output.message(`${error.message} Run the same command to continue.`)
    return error.cause instanceof Interrupted ? error.cause.exitCode : EXIT.failed
  }
}

function exitCodeOf({ indexed, unchanged, partial, failed, stop }: IngestReport): ExitCode {
  const hasOnlyFailures = failed.length > 0 && indexed + unchanged + partial === 0
  if (stop || hasOnlyFailures) return EXIT.failed
  return failed.length > 0 || partial > 0 ? EXIT.partial : EXIT.ok
}
