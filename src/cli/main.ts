#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { PACKAGE_DIR, readConfig } from '../config.js'
import { AppError, ERROR_TITLES, toAppError } from '../errors.js'
import { type Command, EXIT, type ExitCode, type OptionValue, type Output } from './command.js'
import { backup } from './commands/backup.js'
import { doctor } from './commands/doctor.js'
import { index } from './commands/index.js'
import { jobs } from './commands/jobs.js'
import { library } from './commands/library.js'
import { reindexCommand } from './commands/reindex.js'
import { restore } from './commands/restore.js'
import { search } from './commands/search.js'
import { serveCommand } from './commands/serve.js'
import { tag } from './commands/tag.js'
import { helpFor, overview } from './help.js'
import { Interrupted, interruptSignal } from './interrupt.js'
import { printable, printableJson } from './printable.js'

export const COMMANDS: readonly Command[] = [
  index,
  jobs,
  library,
  search,
  tag,
  serveCommand,
  doctor,
  reindexCommand,
  backup,
  restore,
]

const COMMON = {
  json: { type: 'boolean' },
  data: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Runs a command line; the exit code says how it went. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const output = outputTo(argv.includes('--json'))
  try {
    return await dispatch(argv, env, output)
  } catch (error) {
    const { code, message } = toAppError(error)
    const detail = code === 'USAGE' ? message : printable(message)
    output.result({ code, title: ERROR_TITLES[code], detail: message }, () => '')
    output.message(`${code}: ${detail}`)
    if (error instanceof Interrupted) return error.exitCode
    return code === 'USAGE' || code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed
  }
}

async function dispatch(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  output: Output,
): Promise<ExitCode> {
  const { name, rest } = commandIn(argv)
  const command = COMMANDS.find((command) => command.name === name)
  if (!command) {
    if (rest.includes('--version')) {
      const version = await packageVersion()
      output.result({ version }, () => `earshot ${version}\n`)
      return EXIT.ok
    }
    const isHelp = name === 'help' || rest.some((option) => ['--help', '-h'].includes(option))
    if (name !== undefined && !isHelp) {
      throw new AppError(
        'USAGE',
        `There is no command "${printable(name)}".\n\n${overview(COMMANDS)}`,
      )
    }
    process.stdout.write(`${overview(COMMANDS)}\n`)
    return isHelp ? EXIT.ok : EXIT.usage
  }
  const { positionals, values } = parse(command, rest)
  if (values.help) {
    process.stdout.write(`${helpFor(command)}\n`)
    return EXIT.ok
  }
  const extra = positionals[command.mostArgs]
  if (extra !== undefined) {
    throw new AppError('USAGE', `Unexpected argument "${printable(extra)}".\n\n${helpFor(command)}`)
  }
  const config = readConfig({ ...env, ...settings(values) })
  // The server has its own way of stopping.
  const signal = command === serveCommand ? new AbortController().signal : interruptSignal()
  return command.run({ args: positionals, options: values, config, output, signal })
}

/** The name of the command, which may stand after common options, and all other arguments. */
function commandIn(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  const at = argv.findIndex((argument, i) => !argument.startsWith('-') && argv[i - 1] !== '--data')
  if (at < 0) return { name: undefined, rest: argv }
  return { name: argv[at], rest: [...argv.slice(0, at), ...argv.slice(at + 1)] }
}

async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8')).version
}

type Values = Readonly<Record<string, OptionValue>>

function parse(
  command: Command,
  args: readonly string[],
): { positionals: string[]; values: Values } {
  try {
    const options = { ...command.options, ...COMMON }
    return parseArgs({ args: [...args], options, allowPositionals: true }) as {
      positionals: string[]
      values: Values
    }
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
    Object.entries(given).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
}

function outputTo(json: boolean): Output {
  return {
    json,
    result: (value, forPeople) =>
      void process.stdout.write(json ? `${printableJson(value)}\n` : forPeople()),
    message: (line) => void process.stderr.write(`${line}\n`),
  }
}

/** A reader that has seen enough, as `head`, closes the pipe: the command ends as if by SIGPIPE. A full disk is a failure. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141)
    if (stream === process.stdout)
      process.stderr.write(`The output cannot be written: ${error.message}\n`)
    process.exit(EXIT.failed)
  })
}

process.exitCode = await main(process.argv.slice(2), process.env)
