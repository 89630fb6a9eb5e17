import { stat } from 'node:fs/promises'
import { backUp } from '../../app/backup.js'
import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { printable } from '../printable.js'

/** Declares `earshot backup`. */
export function addBackup(program: CliCommand): void {
  program
    .command('backup')
    .description('Write the library into one file, also while a server uses it')
    .argument('<file>', 'backup file to create')
    .examples(
      'earshot backup library-2026-11-22.earshot',
      'earshot backup /mnt/backup/library.earshot --data /data',
    )
    .action(action(run))
}

async function run({
  args,
  config,
  output,
}: Invocation<object, [file: string]>): Promise<ExitCode> {
  const [file] = args
  await backUp(config, file)
  const { size: bytes } = await stat(file)
  const uploads = printable(`${config.library.dataDir}/media`)
  output.message(`The backup does not contain uploaded files: copy ${uploads} too.`)
  output.result({ file, bytes }, () => `${printable(file)}: ${bytes} bytes\n`)
  return EXIT.ok
}
