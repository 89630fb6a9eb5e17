import { Command, type HelpContext } from 'commander'
import { AppError } from '../errors.js'

/** Reports a wrong command line and carries the help of the command. */
export class UsageError extends AppError {
  constructor(
    message: string,
    readonly help: string,
  ) {
    super('USAGE', message)
  }
}

/** Declares a command: its help ends with examples and its errors are usage errors. */
export class CliCommand extends Command {
  #examples: readonly string[] = []

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name)
  }

  /** Adds command lines to the end of the help. */
  examples(...lines: readonly string[]): this {
    this.#examples = lines
    return this
  }

  override helpInformation(context?: HelpContext): string {
    const help = super.helpInformation(context)
    if (this.#examples.length === 0) return help
    return `${help}\nExamples:\n${this.#examples.map((line) => `  ${line}\n`).join('')}`
  }

  override error(message: string): never {
    throw new UsageError(sentence(message), this.helpInformation().trimEnd())
  }

  override help(context?: HelpContext | ((help: string) => string)): never {
    const isError = typeof context === 'object' && context.error === true
    if (isError) this.error('expected the name of a command')
    return super.help(context as HelpContext)
  }
}

/** Returns a message of commander on one line and without its prefix. */
const sentence = (message: string): string =>
  message.replace(/^error: /, '').replace(/\n(?=\(Did you mean )/, ' ')
