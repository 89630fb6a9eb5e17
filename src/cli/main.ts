#!/usr/bin/env node
import { CommanderError } from 'commander'
import { reportError } from './failure.js'
import { outputFor } from './output.js'
import { createProgram } from './program.js'
import { exitOnWriteErrors } from './streams.js'

/** Runs a command line and sets the exit code of the process. */
async function main(args: readonly string[]): Promise<void> {
  const json = args.includes('--json')
  try {
    await createProgram({ json }).parseAsync(args, { from: 'user' })
  } catch (error) {
    const hasShownHelp = error instanceof CommanderError
    process.exitCode = hasShownHelp ? error.exitCode : reportError(error, outputFor(json))
  }
}

exitOnWriteErrors()
await main(process.argv.slice(2))
