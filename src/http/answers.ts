import type { z } from 'zod'
import { Problem } from './schemas.js'

/** What a route may answer: its own schema, or a problem. */
export function answers<Schema extends z.ZodType>(schema: Schema, status = 200) {
  return {
    [status]: schema,
    default: { description: 'A problem: docs/errors.md', content: { 'application/problem+json': { schema: Problem } } },
  }
}
