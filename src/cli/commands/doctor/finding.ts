import { toAppError } from '../../../errors.js'

/** Holds the result of one check. */
export interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
}

/** Runs a check that returns a detail, and returns its finding. */
export async function findingOf(check: string, run: () => Promise<string>): Promise<Finding> {
  try {
    return { check, ok: true, detail: await run() }
  } catch (error) {
    return failed(check, error)
  }
}

/** Returns the finding of a check that threw an error. */
export function failed(check: string, error: unknown): Finding {
  const { code, message } = toAppError(error)
  return { check, ok: false, detail: `${code}: ${message}` }
}
