import { setMaxListeners } from 'node:events'
import { AppError } from '../errors.js'
import type { ExitCode } from './exit-codes.js'

/** Maps signals to the exit codes of a shell: 128 plus the number of the signal. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** Reports that a signal stopped a command before its end. */
export class Interrupted extends AppError {
  constructor(readonly exitCode: ExitCode) {
    super('SHUTTING_DOWN', 'Interrupted. Completed work is kept.')
  }
}

/** Returns a signal that the first SIGINT or SIGTERM aborts. A second one kills the process. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // each frame that waits for the encoder adds a listener
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort(new Interrupted(EXIT_CODES[signal])))
  }
  return controller.signal
}
