import type { CliCommand } from '../command.js'
import { refuseUnknownSubcommand } from '../group.js'
import { reasonOption } from '../options.js'
import { addChange } from './jobs/change.js'
import { addList } from './jobs/list.js'

/** Declares `earshot jobs` and its subcommands. */
export function addJobs(program: CliCommand): void {
  const group = program
    .command('jobs')
    .description('Show jobs, and pause, resume, cancel or retry them')
    .hook('preSubcommand', refuseUnknownSubcommand)
    .examples('earshot jobs', 'earshot jobs show 12', 'earshot jobs pause 12')
  addList(group)
  addChange(group, 'show', 'Show a job and its failed files', (jobs, id) => jobs.job(id))
  addChange(group, 'pause', 'Pause a job', (jobs, id) => jobs.pause(id))
  addChange(group, 'resume', 'Resume a paused job', (jobs, id) => jobs.resume(id))
  addChange(group, 'cancel', 'Cancel a job; indexed files stay', (jobs, id) => jobs.cancel(id))
  addRetry(group)
}

function addRetry(group: CliCommand): void {
  const description = 'Retry the failed files of a job'
  addChange(group, 'retry', description, (jobs, id, codes) => jobs.retry(id, codes))
    .addOption(reasonOption())
    .examples('earshot jobs retry 12', 'earshot jobs retry 12 --reason MEDIA_STALLED')
}
