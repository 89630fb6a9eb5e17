import { restore } from '../../app/backup.js'
import { openApp } from '../../app.js'
import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'

type RestoreInvocation = Invocation<{ readonly force?: boolean }, [file: string]>

/** Declares `earshot restore`. */
export function addRestore(program: CliCommand): void {
  program
    .command('restore')
    .description('Create the library from a backup and build its index')
    .argument('<file>', 'backup file to read')
    .option('--force', 'delete the library that the data folder holds')
    .examples(
      'earshot restore library.earshot --data ./another-folder',
      'EARSHOT_BUNDLE=models/new earshot restore library.earshot --force',
    )
    .action(action(run))
}

async function run({
  args,
  options,
  config,
  output,
  signal,
}: RestoreInvocation): Promise<ExitCode> {
  await restore(config, args[0], { force: options.force === true })
  await using app = await openApp(config)
  await app.gallery.follow(signal)
  const { clips, segments } = await app.gallery.catalogue.counts()
  output.result({ clips, segments }, () => `${clips} clips, ${segments} segments\n`)
  return EXIT.ok
}
