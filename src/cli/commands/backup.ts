import { stat } from 'node:fs/promises'
import { backUp } from '../../app/backup.js'
import { AppError } from '../../errors.js'
import { type Command, EXIT } from '../command.js'
import { helpFor } from '../help.js'
import { printable } from '../printable.js'

export const backup: Command = {
  name: 'backup',
  summary: 'Write the library as it is now into one file, while it goes on serving',
  usage: 'backup <file> [options]',
  examples: [
    'earshot backup library-2026-11-22.earshot',
    'earshot backup /mnt/backup/library.earshot --data /data',
  ],
  mostArgs: 1,
  options: {},
  optionHelp: {},
  async run({ args: [file], config, output }) {
    if (!file) throw new AppError('USAGE', `Say one file.\n\n${helpFor(backup)}`)
    await backUp(config, file)
    const { size: bytes } = await stat(file)
    output.message(
      `Uploaded files lie in ${config.library.dataDir}/media and are not in it: copy that folder too.`,
    )
    output.result({ file, bytes }, () => `${printable(file)}: ${bytes} bytes\n`)
    return EXIT.ok
  },
}
