import { resolve } from 'node:path'
import type { JobRequest } from '../gallery/jobs.js'
import { plainPath } from '../path-text.js'

/** A request for files and folders, each path made absolute; what is not said is as most want it. */
export function jobRequest(paths: readonly string[], options: Partial<Omit<JobRequest, 'sources'>> = {}): JobRequest {
  const { mode = 'changed', include = [], ignore = [], followLinks = false, within = [] } = options
  return { sources: paths.map((path) => plainPath(resolve(path))), mode, include, ignore, followLinks, within }
}
