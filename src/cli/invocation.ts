import type { Command } from 'commander'
import { type Config, readConfig } from '../config.js'
import { environmentOf } from './environment.js'
import type { ExitCode } from './exit-codes.js'
import { interruptSignal } from './interrupt.js'
import { type Output, outputFor } from './output.js'

/** Holds the parsed command line and what a command needs to run. */
export interface Invocation<Options = object, Arguments = readonly []> {
  readonly args: Arguments
  readonly options: Options
  readonly config: Config
  readonly output: Output
  readonly signal: AbortSignal // aborts with SIGINT and SIGTERM
  readonly command: Command
}

/** Runs a command and returns its exit code. */
export type Run<Options, Arguments> = (
  invocation: Invocation<Options, Arguments>,
) => Promise<ExitCode>

/** Returns an action for commander that runs a command and sets the exit code of the process. */
export function action<Options, Arguments>(
  run: Run<Options, Arguments>,
  signal: () => AbortSignal = interruptSignal,
) {
  return async function (this: Command): Promise<void> {
    const options = this.optsWithGlobals()
    process.exitCode = await run({
      args: this.processedArgs as Arguments,
      options: options as Options,
      config: readConfig({ ...process.env, ...environmentOf(options) }),
      output: outputFor(options.json === true),
      signal: signal(),
      command: this,
    })
  }
}
