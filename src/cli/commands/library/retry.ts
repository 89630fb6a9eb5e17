import { requireLibrary } from '../../../app/library.js'
import { openApp } from '../../../app.js'
import type { ErrorCode } from '../../../errors.js'
import type { Catalogue } from '../../../gallery/catalogue/catalogue.js'
import { FILES_PER_THREAD } from '../../../ingest/runner/ingest-paths.js'
import type { CliCommand } from '../../command.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { ingestWithProgress } from '../../ingest-with-progress.js'
import { action, type Invocation } from '../../invocation.js'
import { reasonOption } from '../../options.js'

const ALL = 1_000_000

type RetryInvocation = Invocation<{ readonly reason?: readonly ErrorCode[] }>

/** Declares `earshot library retry`. */
export function addRetry(library: CliCommand): void {
  library
    .command('retry')
    .description('Index files that failed before again')
    .addOption(reasonOption())
    .examples('earshot library retry', 'earshot library retry --reason MEDIA_DAMAGED')
    .action(action(run))
}

async function run(invocation: RetryInvocation): Promise<ExitCode> {
  const { options, config, output } = invocation
  await requireLibrary(config)
  await using app = await openApp(config)
  const paths = await failedPaths(app.gallery.catalogue, options.reason)
  const concurrency = config.encoder.threads * FILES_PER_THREAD
  const report = await ingestWithProgress(paths, app, { concurrency }, invocation)
  const failed = report.failed.length
  output.result(report, () => `${paths.length - failed} mended, ${failed} failed again\n`)
  return failed > 0 ? EXIT.partial : EXIT.ok
}

async function failedPaths(catalogue: Catalogue, codes?: readonly string[]): Promise<string[]> {
  const failures = await catalogue.failures({ limit: ALL })
  return failures.filter(({ code }) => !codes || codes.includes(code)).map(({ path }) => path)
}
