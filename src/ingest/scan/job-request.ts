import { resolve } from 'node:path'
import { plainPath } from '../../domain/path-text.js'
import type { JobRequest } from '../../jobs/jobs.js'
import { fileFilter } from './file-filter.js'

/** A request for files and folders, each path made absolute; what is not said is as most want it. */
export function jobRequest(
  paths: readonly string[],
  options: Partial<Omit<JobRequest, 'sources'>> = {},
): JobRequest {
  const { mode = 'changed', include = [], ignore = [], followLinks = false, within = [] } = options
  const { defaultIgnores = true } = options
  fileFilter(include, ignore) // throws GLOB_INVALID before there is a job
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
