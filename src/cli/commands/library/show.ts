import { openLibrary } from '../../../app/library.js'
import { sourcesOf } from '../../../ingest/scan/sources.js'
import type { CliCommand } from '../../command.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { action, type Invocation } from '../../invocation.js'
import { type Contents, formatContents } from './format-contents.js'

const ROWS_SHOWN = 50

/** Declares `earshot library show`. */
export function addShow(library: CliCommand): void {
  library
    .command('show', { isDefault: true })
    .description('Show sources, counts, failed files and missing files (default)')
    .examples('earshot library', 'earshot library show --json')
    .action(action(run))
}

async function run({ config, output }: Invocation): Promise<ExitCode> {
  await using catalogue = await openLibrary(config)
  const contents: Contents = {
    roots: await sourcesOf(catalogue.files),
    counts: await catalogue.counts(),
    quarantine: await catalogue.failures({ limit: ROWS_SHOWN }),
    missing: await catalogue.files.missingClips({ limit: ROWS_SHOWN }),
  }
  output.result(contents, () => formatContents(contents, config))
  return EXIT.ok
}
