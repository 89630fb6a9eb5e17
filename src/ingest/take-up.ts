import type { Catalogue } from '../gallery/catalogue.js'
import type { Job, JobRequest } from '../gallery/jobs.js'
import { releaseDead } from './owner.js'

/** A job for the request: where one has not ended, that one, scanned again for what has come in the meantime. */
export async function takeUp(request: JobRequest, { jobs, queue }: Pick<Catalogue, 'jobs' | 'queue'>): Promise<Job> {
  await releaseDead(queue)
  const unfinished = await jobs.unfinished(request)
  if (!unfinished) return (await jobs.create(request)).job
  if (unfinished.state !== 'paused') await jobs.pause(unfinished.id)
  return jobs.resume(unfinished.id)
}
