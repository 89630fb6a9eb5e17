import { openLibrary } from '../../app/library.js'
import { AppError, ERROR_TITLES, type ErrorCode } from '../../errors.js'
import { hasEnded } from '../../jobs/job-state.js'
import {
  type Figures,
  ITEM_STATES,
  type Item,
  type Job,
  type JobId,
  type Jobs,
} from '../../jobs/jobs.js'
import { type Command, EXIT, type OptionValue } from '../command.js'
import { helpFor } from '../help.js'
import { listOption } from '../options.js'
import { printable } from '../printable.js'
import { duration } from '../progress.js'
import { table } from '../table.js'

const JOBS_SHOWN = 20
const FAILURES_SHOWN = 50

export const jobs: Command = {
  name: 'jobs',
  summary: 'Show jobs, and pause, resume, cancel or retry them',
  usage:
    'jobs [list | show <id> | pause <id> | resume <id> | cancel <id> | retry <id> [--reason <code>]] [options]',
  examples: [
    'earshot jobs',
    'earshot jobs show 12',
    'earshot jobs retry 12 --reason MEDIA_STALLED',
  ],
  mostArgs: 2,
  options: { reason: { type: 'string', multiple: true } },
  optionHelp: {
    '--reason <code>': 'retry: only the files that failed for this reason (repeatable)',
  },
  async run({ args: [action = 'list', id], options, config, output }) {
    if (action === 'list' && id !== undefined) throw usage('list takes no arguments.')
    await using library = await openLibrary(config)
    if (action === 'list') {
      const page = await library.jobs.jobs({ limit: JOBS_SHOWN })
      output.result(page, () => list(page))
      return EXIT.ok
    }
    const shown = await shownAfter(action, jobId(id), library.jobs, reasons(options.reason))
    output.result(shown, () => formatText(shown))
    return EXIT.ok
  },
}

interface Shown {
  readonly job: Job
  readonly figures: Figures
  readonly failed: readonly Item[]
}

async function shownAfter(
  action: string,
  id: JobId,
  jobs: Jobs,
  codes: readonly ErrorCode[],
): Promise<Shown> {
  const job = await act(action, id, jobs, codes)
  const failed = await jobs.items(id, { state: 'failed', limit: FAILURES_SHOWN })
  const [figures] = await jobs.figures([job])
  return { job, figures: figures as Figures, failed }
}

function act(action: string, id: JobId, jobs: Jobs, codes: readonly ErrorCode[]): Promise<Job> {
  switch (action) {
    case 'show':
      return jobs.job(id)
    case 'pause':
      return jobs.pause(id)
    case 'resume':
      return jobs.resume(id)
    case 'cancel':
      return jobs.cancel(id)
    case 'retry':
      return jobs.retry(id, codes.length > 0 ? codes : undefined)
    default:
      throw usage(`There is nothing called "${printable(action)}" to do with a job.`)
  }
}

function jobId(id: string | undefined): JobId {
  if (id !== undefined && /^[1-9]\d*$/.test(id)) return Number(id)
  throw usage(`Expected the number of a job, got "${printable(id ?? '')}".`)
}

function reasons(value: OptionValue): ErrorCode[] {
  return listOption(value).map((code) => {
    if (code in ERROR_TITLES) return code as ErrorCode
    throw usage(`There is no reason "${printable(code)}": docs/errors.md lists them.`)
  })
}

const usage = (problem: string) => new AppError('USAGE', `${problem}\n\n${helpFor(jobs)}`)

function list(page: readonly Job[]): string {
  if (page.length === 0) return 'There are no jobs yet: earshot index makes one.\n'
  const rows = page.map(({ id, state, counts, sources, createdAt }) => {
    const done = counts.indexed + counts.copied + counts.moved + counts.partial
    const left = counts.queued + counts.running
    return [
      id,
      state,
      done,
      counts.unchanged,
      counts.failed,
      left,
      createdAt,
      sources.join(' ').slice(0, 60),
    ]
  })
  return table(['job', 'state', 'done', 'unchanged', 'failed', 'left', 'made', 'sources'], rows)
}

function formatText({ job, figures, failed }: Shown): string {
  const counts = ITEM_STATES.filter((state) => job.counts[state] > 0).map(
    (state) => `${job.counts[state]} ${state}`,
  )
  const lines = [
    `Job ${job.id} is ${job.state}: ${counts.join(', ') || 'nothing found yet'}`,
    `${job.mode} of ${printable(job.sources.join(', '))}`,
    ...(job.stop
      ? [`It has paused by itself: ${job.stop.code}: ${printable(job.stop.detail)}`]
      : []),
    ...(hasEnded(job.state) ? [] : [rate(figures)]),
    ...job.warnings.map(printable),
    ...failed.map(
      ({ path, reason }) =>
        `${reason?.code}  ${printable(path)}\n    ${printable(reason?.detail ?? '')}`,
    ),
    ...(job.counts.failed > failed.length
      ? [`… and ${job.counts.failed - failed.length} more`]
      : []),
  ]
  return `${lines.join('\n')}\n`
}

function rate({ clipsPerSecond, realtime, bottleneck, etaSeconds }: Figures): string {
  const eta = etaSeconds === null ? 'still scanning' : `${duration(etaSeconds)} to go`
  const stage = bottleneck === null ? '' : `, waits mostly to ${bottleneck}`
  return `${clipsPerSecond.toFixed(1)} clips/s, ${realtime.toFixed(0)} x realtime${stage}; ${eta}`
}
