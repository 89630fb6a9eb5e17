import { InvalidArgumentError } from 'commander'
import { openLibrary } from '../../../app/library.js'
import type { ErrorCode } from '../../../errors.js'
import type { Figures, Job, JobId, Jobs } from '../../../jobs/jobs.js'
import type { CliCommand } from '../../command.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import { action, type Invocation } from '../../invocation.js'
import { formatJob } from './format-job.js'

const FAILURES_SHOWN = 50

/** Reads or changes a job and returns its new state. */
export type Change = (jobs: Jobs, id: JobId, codes?: readonly ErrorCode[]) => Promise<Job>

type ChangeInvocation = Invocation<{ readonly reason?: readonly ErrorCode[] }, [id: JobId]>

/** Declares a subcommand of `earshot jobs` that applies a change and prints the job. */
export function addChange(
  group: CliCommand,
  name: string,
  description: string,
  change: Change,
): CliCommand {
  return group
    .command(name)
    .description(description)
    .argument('<id>', 'number of the job', jobId)
    .examples(`earshot jobs ${name} 12`)
    .action(action((invocation: ChangeInvocation) => run(change, invocation)))
}

function jobId(text: string): JobId {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected the number of a job.')
}

async function run(
  change: Change,
  { args: [id], options, config, output }: ChangeInvocation,
): Promise<ExitCode> {
  await using library = await openLibrary(config)
  const job = await change(library.jobs, id, options.reason)
  const failed = await library.jobs.items(id, { state: 'failed', limit: FAILURES_SHOWN })
  const [figures] = await library.jobs.figures([job])
  const shown = { job, figures: figures as Figures, failed }
  output.result(shown, () => formatJob(shown))
  return EXIT.ok
}
