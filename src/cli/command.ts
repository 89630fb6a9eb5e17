import type { ParseArgsConfig } from 'node:util'
import type { Config } from '../config.js'

export const EXIT = { ok: 0, usage: 1, partial: 2, failed: 3 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT] | 130 | 143

/** Where a command speaks: its result on stdout, as one JSON value or for people, and its talk on stderr. */
export interface Output {
  readonly json: boolean
  result(value: unknown, forPeople: () => string): void
  message(line: string): void
}

export type OptionValue = string | boolean | readonly string[] | undefined

export interface Invocation {
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, OptionValue>>
  readonly config: Config
  readonly output: Output
  readonly signal: AbortSignal
}

/** One file in commands/ each. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly usage: string
  readonly examples: readonly string[]
  readonly mostArgs: number // further arguments are refused
  readonly options: NonNullable<ParseArgsConfig['options']>
  readonly optionHelp: Readonly<Record<string, string>>
  run(invocation: Invocation): Promise<ExitCode>
}
