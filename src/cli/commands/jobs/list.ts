import { openLibrary } from '../../../app/library.js'
import type { Job } from '../../../jobs/jobs.js'
import type { CliCommand } from '../../command.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { action, type Invocation } from '../../invocation.js'
import { type Row, table } from '../../table.js'

const JOBS_SHOWN = 20
const SOURCES_WIDTH = 60
const HEADINGS = ['job', 'state', 'done', 'unchanged', 'failed', 'left', 'created', 'sources']

/** Declares `earshot jobs list`. */
export function addList(group: CliCommand): void {
  group
    .command('list', { isDefault: true })
    .description('List the newest jobs (default)')
    .examples('earshot jobs', 'earshot jobs list --json')
    .action(action(run))
}

async function run({ config, output }: Invocation): Promise<ExitCode> {
  await using library = await openLibrary(config)
  const jobs = await library.jobs.jobs({ limit: JOBS_SHOWN })
  output.result(jobs, () => formatJobs(jobs))
  return EXIT.ok
}

function formatJobs(jobs: readonly Job[]): string {
  if (jobs.length === 0) return 'There are no jobs: earshot index creates one.\n'
  return table(HEADINGS, jobs.map(rowOf))
}

function rowOf({ id, state, counts, sources, createdAt }: Job): Row {
  const { indexed, copied, moved, partial, unchanged, failed, queued, running } = counts
  const done = indexed + copied + moved + partial
  const shownSources = sources.join(' ').slice(0, SOURCES_WIDTH)
  return [id, state, done, unchanged, failed, queued + running, createdAt, shownSources]
}
