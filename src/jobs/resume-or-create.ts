import type { Job, JobQueue, JobRequest, Jobs } from './jobs.js'
import { releaseOrphanedLeases } from './worker-id.js'

/**
 * Returns a job for the request. If a job of this request has not ended, resumes it with a new
 * scan. Otherwise creates a job.
 */
export async function resumeOrCreateJob(
  request: JobRequest,
  { jobs, queue }: { readonly jobs: Jobs; readonly queue: JobQueue },
): Promise<Job> {
  await releaseOrphanedLeases(queue)
  const unfinished = await jobs.unfinished(request)
  if (!unfinished) return (await jobs.create(request)).job
  if (unfinished.state !== 'paused') await jobs.pause(unfinished.id)
  return jobs.resume(unfinished.id)
}
