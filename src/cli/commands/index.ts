import { resolve } from 'node:path'
import { openApp } from '../../app.js'
import { FILES_PER_THREAD } from '../../ingest/runner/ingest-paths.js'
import { jobRequest } from '../../ingest/scan/job-request.js'
import { realPaths } from '../../storage/path-within.js'
import type { CliCommand } from '../command.js'
import type { ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { dryRun } from './index/dry-run.js'
import { indexOnce } from './index/index-once.js'
import { keepIndexed } from './index/keep-indexed.js'
import { addScanOptions, addWatchOptions, type IndexOptions } from './index/options.js'

type IndexInvocation = Invocation<IndexOptions, [paths: readonly string[]]>

/** Declares `earshot index`. */
export function addIndex(program: CliCommand): void {
  const index = program
    .command('index')
    .description('Index files and folders into the library, once or continuously')
    .argument('<paths...>', 'files and folders')
    .examples(
      'earshot index ~/clips',
      'earshot index interview.mp4 room-tone.wav --data ./library --json',
      "earshot index /archive --ignore '*.wav' --ignore 'drafts/**' --dry-run",
      'earshot index /mnt/nas --watch --poll 10',
    )
    .action(action(run))
  addScanOptions(index)
  addWatchOptions(index)
}

async function run(invocation: IndexInvocation): Promise<ExitCode> {
  const { args, options, config } = invocation
  const sources = await realPaths(args[0].map((path) => resolve(path)))
  const request = jobRequest(sources, options)
  if (options.dryRun) return await dryRun(request, invocation)
  const concurrency = options.concurrency ?? config.encoder.threads * FILES_PER_THREAD
  await using app = await openApp(config)
  app.sources.add(request.sources)
  return options.watch
    ? await keepIndexed(request, app, concurrency, invocation)
    : await indexOnce(request, app, concurrency, invocation)
}
