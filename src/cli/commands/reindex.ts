import { requireLibrary } from '../../app/library.js'
import { openReindex, previousBundle, pruneGalleries } from '../../app/open-reindex.js'
import type { Config } from '../../config.js'
import { AppError } from '../../errors.js'
import { FILES_PER_THREAD } from '../../ingest/runner/ingest-paths.js'
import { type ReindexReport, reindex } from '../../reindex/reindex.js'
import { type Command, EXIT, type ExitCode, type Invocation, type Output } from '../command.js'
import { helpFor } from '../help.js'
import { printable } from '../printable.js'

export const reindexCommand: Command = {
  name: 'reindex',
  summary: 'Move the library to another bundle while it goes on serving',
  usage: 'reindex --bundle <bundle> | --rollback | --prune [options]',
  examples: [
    'earshot reindex --bundle models/new   # encodes every clip beside the old gallery, then changes over',
    'earshot reindex --rollback            # goes back to the bundle before, with what came since',
    'earshot reindex --prune               # deletes the galleries that do not serve',
  ],
  mostArgs: 0,
  options: {
    bundle: { type: 'string' },
    rollback: { type: 'boolean' },
    prune: { type: 'boolean' },
  },
  optionHelp: {
    '--bundle <bundle>': 'a name under models/, or a path',
    '--rollback': 'to the bundle that served before',
    '--prune': 'reclaim the space of what serves no more',
  },
  async run(invocation) {
    const { options, config, output } = invocation
    const asked = [options.bundle, options.rollback, options.prune].filter(
      (option) => option !== undefined,
    )
    if (asked.length !== 1)
      throw new AppError('USAGE', `Say one of the three.\n\n${helpFor(reindexCommand)}`)
    await requireLibrary(config)
    if (options.prune) return prune(config, output)
    return change(
      options.rollback ? await previousBundle(config) : String(options.bundle),
      invocation,
    )
  },
}

async function prune(config: Config, output: Output): Promise<ExitCode> {
  const pruned = await pruneGalleries(config)
  output.result({ pruned }, () => `${pruned.length} galleries deleted\n`)
  return EXIT.ok
}

async function change(bundle: string, { config, output, signal }: Invocation): Promise<ExitCode> {
  await using opened = await openReindex(config, bundle)
  const report = await reindex(
    { ...opened, signal },
    {
      concurrency: config.encoder.threads * FILES_PER_THREAD,
      onProgress: ({ done, files, outcome, path }) =>
        output.message(`${done}/${files} ${outcome} ${printable(path)}`),
    },
  )
  if (config.library.isBundleGiven)
    output.message(`From now on the library is of ${bundle}: set EARSHOT_BUNDLE so, or unset it.`)
  output.result(report, () => summary(report))
  return report.waiting.length > 0 || report.partial > 0 ? EXIT.partial : EXIT.ok
}

function summary({
  clips,
  encoded,
  copied,
  partial,
  kept,
  waiting,
  seconds,
}: ReindexReport): string {
  const waits = waiting
    .map(({ waits, path, detail }) => `${waits}  ${printable(path)}\n    ${printable(detail)}\n`)
    .join('')
  return `${waits}${clips} clips: ${encoded} encoded, ${copied} copied, ${partial} partial, ${kept} kept, ${waiting.length} wait for their files, in ${seconds} s\n`
}
