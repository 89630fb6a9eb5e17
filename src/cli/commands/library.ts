import type { CliCommand } from '../command.js'
import { refuseUnknownSubcommand } from '../group.js'
import { addPrune } from './library/prune.js'
import { addRetry } from './library/retry.js'
import { addShow } from './library/show.js'

/** Declares `earshot library` and its subcommands. */
export function addLibrary(program: CliCommand): void {
  const library = program
    .command('library')
    .description('Show the contents and problems of the library, prune it, retry failed files')
    .hook('preSubcommand', refuseUnknownSubcommand)
    .examples('earshot library', 'earshot library prune', 'earshot library retry')
  for (const add of [addShow, addPrune, addRetry]) add(library)
}
