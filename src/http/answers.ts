import { z } from 'zod'
import { Problem } from './schemas.js'

const PROBLEM = { 'application/problem+json': { schema: Problem } }
const ANY_PROBLEM = { description: 'A problem: docs/errors.md', content: PROBLEM }

/** What a route may answer: its own schema, or a problem. */
export function answers<Schema extends z.ZodType>(schema: Schema, status = 200) {
  return { [status]: schema, default: ANY_PROBLEM }
}

/** Problems by their statuses, each with the codes that it stands for; any route may have others. */
export function problems(statuses: Readonly<Record<number, string>>): { default: typeof ANY_PROBLEM } {
  const known = Object.entries(statuses).map(
    ([status, description]) => [status, { description, content: PROBLEM }] as const,
  )
  return { ...Object.fromEntries(known), default: ANY_PROBLEM }
}

/** Bytes of some content types. */
export function bytes(description: string, ...types: readonly string[]) {
  const schema = z.unknown().meta({ type: 'string', format: 'binary' })
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema }])) }
}
