import { setMaxListeners } from 'node:events'
import { AppError } from '../errors.js'
import type { ExitCode } from './command.js'

/** Exit codes of a shell for a program that a signal ended: 128 and the number of the signal. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** Why a command was stopped before its end. */
export class Interrupted extends AppError {
  constructor(readonly exitCode: ExitCode) {
    super('SHUTTING_DOWN', 'Interrupted: what was done is kept.')
  }
}

/** Aborts with the first SIGINT or SIGTERM, so that a command ends in good order; a second one kills it. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // one for each frame that waits for the encoder
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort(new Interrupted(EXIT_CODES[signal])))
  }
  return controller.signal
}
