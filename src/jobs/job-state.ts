import { AppError } from '../errors.js'
import type { JobProgress, JobState } from './jobs.js'

/** The states in which a user can apply each action. */
const ALLOWED_FROM = {
  pause: ['queued', 'running'],
  resume: ['paused'],
  cancel: ['queued', 'running', 'paused'],
  retry: ['queued', 'running', 'paused', 'succeeded', 'partial', 'failed'],
} as const satisfies Record<string, readonly JobState[]>

/** An action that a user applies to a job. */
export type JobAction = keyof typeof ALLOWED_FROM

/** Throws JOB_STATE if the state of the job does not allow the action. */
export function checkAction(
  action: JobAction,
  { id, state }: Pick<JobProgress, 'id' | 'state'>,
): void {
  const states: readonly JobState[] = ALLOWED_FROM[action]
  if (states.includes(state)) return
  throw new AppError(
    'JOB_STATE',
    `Job ${id} is ${state}: ${action} needs a job that is ${states.join(' or ')}.`,
  )
}

/** Returns whether a job has ended. Only a retry reopens it. */
export const hasEnded = (state: JobState): boolean =>
  !['queued', 'running', 'paused'].includes(state)

/** Returns the final state of a job without open items. */
export function endState({
  counts,
}: Pick<JobProgress, 'counts'>): 'succeeded' | 'partial' | 'failed' {
  const { indexed, copied, moved, unchanged, partial, failed } = counts
  if (failed > 0 && indexed + copied + moved + unchanged + partial === 0) return 'failed'
  return failed > 0 || partial > 0 ? 'partial' : 'succeeded'
}

/** Returns the error JOB_NOT_FOUND for a job. */
export function jobNotFound(id: number | string): AppError {
  return new AppError(
    'JOB_NOT_FOUND',
    `There is no job ${id}. earshot jobs and GET /v1/jobs list all jobs.`,
  )
}
