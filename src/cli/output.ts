import { printableJson } from './printable.js'

/** Writes the result of a command to stdout and its messages to stderr. */
export interface Output {
  /** Writes a result as one JSON value with `--json`, else as text. */
  result(value: unknown, toText: () => string): void
  /** Writes one line to stderr. */
  message(line: string): void
}

/** Returns the output of a command that runs with or without `--json`. */
export function outputFor(json: boolean): Output {
  return {
    result: (value, toText) =>
      void process.stdout.write(json ? `${printableJson(value)}\n` : toText()),
    message: (line) => void process.stderr.write(`${line}\n`),
  }
}
