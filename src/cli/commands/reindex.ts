import { requireLibrary } from '../../app/library.js'
import { previousBundle, pruneGalleries } from '../../app/open-reindex.js'
import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { text } from '../options.js'
import { moveTo } from './reindex/move.js'

interface ReindexOptions {
  readonly bundle?: string
  readonly rollback?: boolean
  readonly prune?: boolean
}

/** Declares `earshot reindex`. */
export function addReindex(program: CliCommand): void {
  program
    .command('reindex')
    .description('Move the library to another bundle, also while a server uses it')
    .option('--bundle <bundle>', 'bundle to move to: a name under models/, or a path', text)
    .option('--rollback', 'move back to the previous bundle')
    .option('--prune', 'delete the galleries of unused bundles')
    .usage('(--bundle <bundle> | --rollback | --prune) [options]')
    .examples(
      'earshot reindex --bundle models/new   # encodes every clip, then changes the bundle',
      'earshot reindex --rollback            # returns to the previous bundle with all clips',
      'earshot reindex --prune               # frees the space of unused galleries',
    )
    .action(action(run))
}

async function run(invocation: Invocation<ReindexOptions>): Promise<ExitCode> {
  const { options, config, command } = invocation
  const { bundle, rollback, prune } = options
  if ([bundle, rollback, prune].filter((option) => option !== undefined).length !== 1) {
    command.error('expected one of --bundle, --rollback and --prune')
  }
  await requireLibrary(config)
  if (prune) return await pruneUnused(invocation)
  return await moveTo(bundle ?? (await previousBundle(config)), invocation)
}

async function pruneUnused({ config, output }: Invocation<ReindexOptions>): Promise<ExitCode> {
  const pruned = await pruneGalleries(config)
  output.result({ pruned }, () => `${pruned.length} galleries deleted\n`)
  return EXIT.ok
}
