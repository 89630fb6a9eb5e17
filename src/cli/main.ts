#!/usr/bin/env node
import { setMaxListeners } from 'node:events'
import { parseArgs } from 'node:util'
import { readConfig } from '../config.js'
import { AppError, ERROR_TITLES, toAppError } from '../errors.js'
import { type Command, EXIT, type ExitCode, type OptionValue, type Output } from './command.js'
import { backup } from './commands/backup.js'
import { doctor } from './commands/doctor.js'
import { index } from './commands/index.js'
import { jobs } from './commands/jobs.js'
import { library } from './commands/library.js'
import { reindex } from './commands/reindex.js'
import { restore } from './commands/restore.js'
import { search } from './commands/search.js'
import { serveCommand } from './commands/serve.js'
import { tag } from './commands/tag.js'
import { helpFor, overview } from './help.js'

export const COMMANDS: readonly Command[] = [
  index,
  jobs,
  library,
  search,
  tag,
  serveCommand,
  doctor,
  reindex,
  backup,
  restore,
]

const COMMON = {
  json: { type: 'boolean' },
  data: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

/** Runs a command line; the exit code says how it went. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const output = outputTo(argv.includes('--json'))
  try {
    return await dispatch(argv, env, output)
  } catch (error) {
    const { code, message: detail } = toAppError(error)
    output.result({ code, title: ERROR_TITLES[code], detail }, () => '')
    output.talk(`${code}: ${detail}`)
    return code === 'USAGE' || code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed
  }
}

async function dispatch([name, ...rest]: readonly string[], env: NodeJS.ProcessEnv, output: Output): Promise<ExitCode> {
  const command = COMMANDS.find((command) => command.name === name)
  if (!command) {
    if (name !== undefined && !['help', '--help', '-h'].includes(name)) {
      throw new AppError('USAGE', `There is no command "${name}".\n\n${overview(COMMANDS)}`)
    }
    process.stdout.write(`${overview(COMMANDS)}\n`)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  const { positionals, values } = parse(command, rest)
  if (values.help) {
    process.stdout.write(`${helpFor(command)}\n`)
    return EXIT.ok
  }
  const config = readConfig({ ...env, ...settings(values) })
  return command.run({ args: positionals, options: values, config, output, signal: interrupted(command) })
}

type Values = Readonly<Record<string, OptionValue>>

function parse(command: Command, args: readonly string[]): { positionals: string[]; values: Values } {
  try {
    const options = { ...command.options, ...COMMON }
    return parseArgs({ args: [...args], options, allowPositionals: true }) as { positionals: string[]; values: Values }
  } catch (cause) {
    throw new AppError('USAGE', `${(cause as Error).message}\n\n${helpFor(command)}`, { cause })
  }
}

/** Options that stand for environment variables: the command line wins. */
function settings({ data, host, port, ...rest }: Values): Record<string, string> {
  const isAllowed = rest['allow-unauthenticated'] === true
  const given = {
    EARSHOT_DATA: data,
    EARSHOT_HOST: host,
    EARSHOT_PORT: port,
    EARSHOT_ALLOW_UNAUTHENTICATED: isAllowed ? '1' : undefined,
  }
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** Ctrl-C ends a command in good order; the server has its own way of stopping. */
function interrupted(command: Command): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // one for every frame on its way
  if (command !== serveCommand) {
    const stop = () => controller.abort(new AppError('SHUTTING_DOWN', 'Interrupted: what was done is kept.'))
    process.once('SIGINT', stop).once('SIGTERM', stop)
  }
  return controller.signal
}

function outputTo(json: boolean): Output {
  return {
    json,
    result: (value, forPeople) => void process.stdout.write(json ? `${JSON.stringify(value)}\n` : forPeople()),
    talk: (line) => void process.stderr.write(`${line}\n`),
  }
}

process.exitCode = await main(process.argv.slice(2), process.env)
