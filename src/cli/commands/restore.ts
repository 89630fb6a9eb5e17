import { restore as restoreFrom } from '../../app/backup.js'
import { openApp } from '../../app.js'
import { AppError } from '../../errors.js'
import { type Command, EXIT } from '../command.js'
import { helpFor } from '../help.js'

export const restore: Command = {
  name: 'restore',
  summary: 'Make a backup the library, and build its index',
  usage: 'restore <file> [--force] [options]',
  examples: [
    'earshot restore library.earshot --data ./another-folder',
    'EARSHOT_BUNDLE=models/new earshot restore library.earshot --force',
  ],
  mostArgs: 1,
  options: { force: { type: 'boolean' } },
  optionHelp: { '--force': 'in place of the library that is there, which is deleted' },
  async run({ args: [file], options, config, output, signal }) {
    if (!file) throw new AppError('USAGE', `Say one file.\n\n${helpFor(restore)}`)
    await restoreFrom(config, file, { force: options.force === true })
    await using app = await openApp(config)
    await app.gallery.follow(signal)
    const { clips, segments } = await app.gallery.catalogue.counts()
    output.result({ clips, segments }, () => `${clips} clips, ${segments} segments\n`)
    return EXIT.ok
  },
}
