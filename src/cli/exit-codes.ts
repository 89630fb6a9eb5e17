/** Maps outcomes of a command to exit codes of the process. */
export const EXIT = { ok: 0, usage: 1, partial: 2, failed: 3 } as const

/** Is an exit code of a command; 130 and 143 stand for SIGINT and SIGTERM. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT] | 130 | 143
