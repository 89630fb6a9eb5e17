import { EXIT } from './exit-codes.js'

/** Is the exit code of a shell for a program that SIGPIPE ended. */
const BROKEN_PIPE = 141

/** Ends the process if stdout or stderr cannot be written. */
export function exitOnWriteErrors(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(BROKEN_PIPE) // the reader, such as `head`, has ended
      if (stream === process.stdout) {
        process.stderr.write(`The output cannot be written: ${error.message}\n`)
      }
      process.exit(EXIT.failed)
    })
  }
}
