import { hasEnded } from '../../../jobs/job-state.js'
import { type Figures, ITEM_STATES, type Item, type Job } from '../../../jobs/jobs.js'
import { duration } from '../../duration.js'
import { printable } from '../../printable.js'

/** Holds a job, its speed and its first failed items. */
export interface ShownJob {
  readonly job: Job
  readonly figures: Figures
  readonly failed: readonly Item[]
}

/** Returns a job as text. */
export function formatJob({ job, figures, failed }: ShownJob): string {
  const lines = [
    `Job ${job.id} is ${job.state}: ${formatCounts(job)}`,
    `${job.mode} of ${printable(job.sources.join(', '))}`,
    ...formatStop(job),
    ...(hasEnded(job.state) ? [] : [formatFigures(figures)]),
    ...job.warnings.map(printable),
    ...failed.map(formatFailure),
    ...formatRest(job.counts.failed - failed.length),
  ]
  return `${lines.join('\n')}\n`
}

function formatCounts({ counts }: Job): string {
  const found = ITEM_STATES.filter((state) => counts[state] > 0)
  return found.map((state) => `${counts[state]} ${state}`).join(', ') || 'no files found yet'
}

const formatStop = ({ stop }: Job): readonly string[] =>
  stop ? [`Paused by an error: ${stop.code}: ${printable(stop.detail)}`] : []

function formatFigures({ clipsPerSecond, realtime, bottleneck, etaSeconds }: Figures): string {
  const left = etaSeconds === null ? 'scan in progress' : `${duration(etaSeconds)} left`
  const stage = bottleneck === null ? '' : `, bottleneck: ${bottleneck}`
  return `${clipsPerSecond.toFixed(1)} clips/s, ${realtime.toFixed(0)} x realtime${stage}; ${left}`
}

const formatFailure = ({ path, reason }: Item): string =>
  `${reason?.code}  ${printable(path)}\n    ${printable(reason?.detail ?? '')}`

const formatRest = (count: number): readonly string[] => (count > 0 ? [`… and ${count} more`] : [])
