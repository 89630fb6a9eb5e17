import { Option } from 'commander'
import { FILES_PER_THREAD } from '../../../ingest/runner/ingest-paths.js'
import { RESCAN_MINUTES, SETTLE_SECONDS } from '../../../ingest/watch/watch.js'
import { JOB_MODES, type JobMode } from '../../../jobs/jobs.js'
import type { CliCommand } from '../../command.js'
import { texts, wholeNumber } from '../../options.js'

const MAX_CONCURRENCY = 1024
const MAX_SECONDS = 3600
const MAX_MINUTES = 10_000

/** Holds the parsed options of `earshot index`. */
export interface IndexOptions {
  readonly mode: JobMode
  readonly dryRun?: boolean
  readonly include?: readonly string[]
  readonly ignore?: readonly string[]
  readonly followLinks?: boolean
  readonly defaultIgnores: boolean
  readonly concurrency?: number
  readonly watch?: boolean
  readonly settle: number // seconds
  readonly rescan: number // minutes
  readonly poll?: number // seconds
}

/** Declares the options that select files and limit the work. */
export function addScanOptions(index: CliCommand): void {
  const mode = 'files to index: new ones (missing), new and changed ones (changed), or all'
  const concurrency =
    `files in work at once, 1 to ${MAX_CONCURRENCY} ` +
    `(default: ${FILES_PER_THREAD} for each of EARSHOT_THREADS)`
  index
    .addOption(new Option('--mode <mode>', mode).choices(JOB_MODES).default('changed'))
    .option('--dry-run', 'list the files to index, and change nothing')
    .option(
      '--include <glob>',
      'index these files in folders, with any extension (repeatable)',
      texts,
    )
    .option('--ignore <glob>', 'skip these files and folders (repeatable)', texts)
    .option('--follow-links', 'enter folders that are links')
    .option('--no-default-ignores', 'enter recycle bins, thumbnail folders and snapshots')
    .option('--concurrency <n>', concurrency, wholeNumber(MAX_CONCURRENCY))
}

/** Declares the options that keep the library up to date. */
export function addWatchOptions(index: CliCommand): void {
  const settle = 'with --watch: seconds for which a file must stay unchanged'
  const rescan = 'with --watch: minutes between full scans'
  const poll = 'with --watch: seconds between checks of each file, for network mounts'
  index
    .option('--watch', 'follow changes until Ctrl-C: index new files, mark missing ones')
    .option('--settle <seconds>', settle, wholeNumber(MAX_SECONDS), SETTLE_SECONDS)
    .option('--rescan <minutes>', rescan, wholeNumber(MAX_MINUTES), RESCAN_MINUTES)
    .option('--poll <seconds>', poll, wholeNumber(MAX_SECONDS))
}
