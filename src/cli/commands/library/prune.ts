import { resolve } from 'node:path'
import { requireLibrary } from '../../../app/library.js'
import { openApp } from '../../../app.js'
import { prune } from '../../../ingest/prune.js'
import { UploadStore } from '../../../ingest/uploads.js'
import { dataLayout } from '../../../storage/data-layout.js'
import type { CliCommand } from '../../command.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { action, type Invocation } from '../../invocation.js'

type PruneInvocation = Invocation<object, [folders: readonly string[]]>

/** Declares `earshot library prune`. */
export function addPrune(library: CliCommand): void {
  library
    .command('prune')
    .description('Remove clips whose files are missing')
    .argument('[folders...]', 'folders that are offline: remove all clips in them too')
    .examples('earshot library prune', 'earshot library prune /mnt/old')
    .action(action(run))
}

async function run({ args, config, output, signal }: PruneInvocation): Promise<ExitCode> {
  await requireLibrary(config)
  await using app = await openApp(config)
  const uploads = new UploadStore(dataLayout(config.library.dataDir))
  const folders = args[0].map((folder) => resolve(folder))
  const pruned = await prune(folders, { uploads, gallery: app.gallery, signal })
  output.result({ pruned }, () => `${pruned} clips removed whose files are missing\n`)
  return EXIT.ok
}
