import { type AppError, ERROR_TITLES, toAppError } from '../errors.js'
import { UsageError } from './command.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import { Interrupted } from './interrupt.js'
import type { Output } from './output.js'
import { printable } from './printable.js'

/** Prints an error and returns its exit code. */
export function reportError(cause: unknown, output: Output): ExitCode {
  const error = toAppError(cause)
  const { code, message } = error
  const help = error instanceof UsageError ? `\n\n${error.help}` : ''
  output.result({ code, title: ERROR_TITLES[code], detail: message + help }, () => '')
  output.message(`${code}: ${printable(message)}${help}`)
  return exitCodeOf(error)
}

function exitCodeOf(error: AppError): ExitCode {
  if (error instanceof Interrupted) return error.exitCode
  return error.code === 'USAGE' || error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failed
}
