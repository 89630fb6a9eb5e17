import { openReindex } from '../../../app/open-reindex.js'
import { FILES_PER_THREAD } from '../../../ingest/runner/ingest-paths.js'
import { type ReindexProgress, reindex } from '../../../reindex/reindex.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import type { Invocation } from '../../invocation.js'
import { printable } from '../../printable.js'
import { formatReport } from './format-report.js'

type Context = Pick<Invocation, 'config' | 'output' | 'signal'>

/** Moves the library to a bundle and prints the report. */
export async function moveTo(
  bundle: string,
  { config, output, signal }: Context,
): Promise<ExitCode> {
  await using opened = await openReindex(config, bundle)
  const concurrency = config.encoder.threads * FILES_PER_THREAD
  const onProgress = (step: ReindexProgress) => output.message(formatStep(step))
  const report = await reindex({ ...opened, signal }, { concurrency, onProgress })
  if (config.library.isBundleGiven) {
    output.message(`The library now uses ${printable(bundle)}: change or unset EARSHOT_BUNDLE.`)
  }
  output.result(report, () => formatReport(report))
  return report.waiting.length > 0 || report.partial > 0 ? EXIT.partial : EXIT.ok
}

const formatStep = ({ done, files, outcome, path }: ReindexProgress): string =>
  `${done}/${files} ${outcome} ${printable(path)}`
