import { AppError } from '../errors.js'
import type { JobProgress, JobState } from './jobs.js'

/** From which states a job can be brought into another by what people ask. */
const ALLOWED_FROM = {
  pause: ['queued', 'running'],
  resume: ['paused'],
  cancel: ['queued', 'running', 'paused'],
  retry: ['queued', 'running', 'paused', 'succeeded', 'partial', 'failed'],
} as const satisfies Record<string, readonly JobState[]>

export type JobAction = keyof typeof ALLOWED_FROM

/** JOB_STATE where a job is in no state for an action. */
export function checkAction(
  action: JobAction,
  { id, state }: Pick<JobProgress, 'id' | 'state'>,
): void {
  const states: readonly JobState[] = ALLOWED_FROM[action]
  if (states.includes(state)) return
  throw new AppError(
    'JOB_STATE',
    `Job ${id} is ${state}: ${action} is for a job that is ${states.join(' or ')}.`,
  )
}

/** Whether a job has ended for good, unless it is tried again. */
export const hasEnded = (state: JobState): boolean =>
  !['queued', 'running', 'paused'].includes(state)

/** The state of a job that has nothing left to do. */
export function endState({
  counts,
}: Pick<JobProgress, 'counts'>): 'succeeded' | 'partial' | 'failed' {
  const { indexed, copied, moved, unchanged, partial, failed } = counts
  if (failed > 0 && indexed + copied + moved + unchanged + partial === 0) return 'failed'
  return failed > 0 || partial > 0 ? 'partial' : 'succeeded'
}

export function jobNotFound(id: number | string): AppError {
  return new AppError(
    'JOB_NOT_FOUND',
    `There is no job ${id}: earshot jobs and GET /v1/jobs list those there are.`,
  )
}
