import { CliCommand } from './command.js'
import { addBackup } from './commands/backup.js'
import { addDoctor } from './commands/doctor.js'
import { addIndex } from './commands/index.js'
import { addJobs } from './commands/jobs.js'
import { addLibrary } from './commands/library.js'
import { addReindex } from './commands/reindex.js'
import { addRestore } from './commands/restore.js'
import { addSearch } from './commands/search.js'
import { addServe } from './commands/serve.js'
import { addTag } from './commands/tag.js'
import { addCompletion } from './completion/command.js'
import { dataOption, versionText } from './global-options.js'

const COMMANDS = [
  addIndex,
  addJobs,
  addLibrary,
  addSearch,
  addTag,
  addServe,
  addDoctor,
  addReindex,
  addBackup,
  addRestore,
  addCompletion,
]

const EXIT_CODES = `
Exit codes: 0 success, 1 wrong command line or configuration, 2 partial success,
3 failure, 130 SIGINT, 143 SIGTERM`

/** Returns the declaration of the whole command line. */
export function createProgram({ json }: { readonly json: boolean }): CliCommand {
  const program = new CliCommand('earshot')
    .description('Earshot: a sound finds its video, a video finds its sound.')
    .version(versionText(json), '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'Show the help of a command')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .option('--json', 'write one JSON value to stdout, messages to stderr')
    .addOption(dataOption())
    .examples('earshot index ~/clips', 'earshot search bark.wav', 'earshot help index')
    .addHelpText('after', EXIT_CODES)
  for (const add of COMMANDS) add(program)
  return program
}
