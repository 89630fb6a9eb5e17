import type { Job, JobQueue, JobRequest, Jobs } from './jobs.js'
import { releaseOrphanedLeases } from './worker-id.js'

/** A job for the request: where one has not ended, that one, scanned again for what has come in the meantime. */
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
