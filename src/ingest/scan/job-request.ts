import { resolve } from 'node:path'
import { plainPath } from '../../domain/path-text.js'
import type { JobRequest } from '../../jobs/jobs.js'
import { fileFilter } from './file-filter.js'

/** Creates a job request with absolute paths and default options. Throws GLOB_INVALID. */
export function jobRequest(
  paths: readonly string[],
  options: Partial<Omit<JobRequest, 'sources'>> = {},
): JobRequest {
  const { mode = 'changed', include = [], ignore = [], followLinks = false, within = [] } = options
  const { defaultIgnores = true } = options
  fileFilter(include, ignore) // validates the globs before a job exists
  return {
    sources: paths.map((path) => plainPath(resolve(path))),
    mode,
    include,
    ignore,
    defaultIgnores,
    followLinks,
    within,
  }
}
