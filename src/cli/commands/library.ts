import { resolve } from 'node:path'
import { openLibrary, requireLibrary } from '../../app/library.js'
import { openApp } from '../../app.js'
import type { Config } from '../../config.js'
import { AppError } from '../../errors.js'
import type { Catalogue, Counts } from '../../gallery/catalogue/catalogue.js'
import type { Failure } from '../../gallery/catalogue/failure.js'
import type { MissingClip } from '../../gallery/catalogue/files.js'
import { prune } from '../../ingest/prune.js'
import { FILES_PER_THREAD, ingestPaths } from '../../ingest/runner/ingest-paths.js'
import { type SourceStatus, sourcesOf } from '../../ingest/scan/sources.js'
import { UploadStore } from '../../ingest/uploads.js'
import { dataLayout } from '../../storage/data-layout.js'
import { type Command, EXIT, type ExitCode, type Invocation } from '../command.js'
import { helpFor } from '../help.js'
import { listOption } from '../options.js'
import { printable } from '../printable.js'
import { progressTo } from '../progress.js'
import { table } from '../table.js'

const SHOWN = 50
const ALL = 1_000_000

export const library: Command = {
  name: 'library',
  summary: 'Show what the library holds, its quarantine and its missing files; prune it',
  usage: 'library [show | prune [folders…] | retry [--reason <code>]] [options]',
  examples: [
    'earshot library',
    'earshot library prune              # take clips out whose files were marked as missing',
    'earshot library prune /mnt/old     # … and all clips of a folder that is offline',
    'earshot library retry --reason MEDIA_DAMAGED',
  ],
  mostArgs: Number.POSITIVE_INFINITY,
  options: { reason: { type: 'string', multiple: true } },
  optionHelp: {
    '--reason <code>': 'retry: only the files that failed for this reason (repeatable)',
  },
  async run(invocation) {
    const [action = 'show'] = invocation.args
    if (action === 'prune') return pruneLibrary(invocation)
    if (invocation.args.length > 1) {
      throw new AppError('USAGE', `${action} takes no arguments.\n\n${helpFor(library)}`)
    }
    if (action === 'show') return show(invocation)
    if (action === 'retry') return retry(invocation)
    throw new AppError(
      'USAGE',
      `There is nothing called "${printable(action)}" to do with a library.\n\n${helpFor(library)}`,
    )
  },
}

interface Shown {
  readonly roots: readonly SourceStatus[]
  readonly counts: Counts
  readonly quarantine: readonly Failure[]
  readonly missing: readonly MissingClip[]
}

async function show({ config, output }: Invocation): Promise<ExitCode> {
  await using catalogue = await openLibrary(config)
  const shown: Shown = {
    roots: await sourcesOf(catalogue.files),
    counts: await catalogue.counts(),
    quarantine: await catalogue.failures({ limit: SHOWN }),
    missing: await catalogue.files.missingClips({ limit: SHOWN }),
  }
  output.result(shown, () => formatText(shown, config))
  return EXIT.ok
}

async function pruneLibrary({
  args: [, ...folders],
  config,
  output,
  signal,
}: Invocation): Promise<ExitCode> {
  await requireLibrary(config)
  await using app = await openApp(config)
  const uploads = new UploadStore(dataLayout(config.library.dataDir))
  const pruned = await prune(
    folders.map((folder) => resolve(folder)),
    { uploads, gallery: app.gallery, signal },
  )
  output.result({ pruned }, () => `${pruned} clips taken out whose files are gone\n`)
  return EXIT.ok
}

/** A file that is named is tried again, whatever became of it before. */
async function retry({ options, config, output, signal }: Invocation): Promise<ExitCode> {
  await requireLibrary(config)
  await using app = await openApp(config)
  const paths = await quarantined(app.gallery.catalogue, listOption(options.reason))
  const ingest = async () => {
    using progress = progressTo(process.stderr) // gone before the summary is printed
    return await ingestPaths(
      paths,
      { encoder: app.encoder, gallery: app.gallery, decoders: app.decoders, signal },
      {
        concurrency: config.encoder.threads * FILES_PER_THREAD,
        onWarning: (detail) => output.message(printable(detail)),
        onProgress: (step) => progress.update(step),
      },
    )
  }
  const report = await ingest()
  output.result(
    report,
    () => `${paths.length - report.failed.length} mended, ${report.failed.length} failed again\n`,
  )
  return report.failed.length > 0 ? EXIT.partial : EXIT.ok
}

async function quarantined(catalogue: Catalogue, codes: readonly string[]): Promise<string[]> {
  const failures = await catalogue.failures({ limit: ALL })
  return failures
    .filter(({ code }) => codes.length === 0 || codes.includes(code))
    .map(({ path }) => path)
}

function formatText(
  { roots, counts, quarantine, missing }: Shown,
  { library: { dataDir } }: Config,
): string {
  const { clips, segments, failures } = counts
  const sections = [
    `${printable(dataDir)}: ${clips} clips of ${segments} segments, ${failures} files in quarantine\n`,
    section(
      ['state', 'clips', 'source'],
      roots.map(({ path, clips, isOffline }) => [isOffline ? 'offline' : 'online', clips, path]),
    ),
    section(
      ['reason', 'file'],
      quarantine.map(({ code, path }) => [code, path]),
    ),
    section(
      ['since', 'file'],
      missing.map(({ missingSince, path }) => [missingSince, path]),
    ),
  ]
  return sections.filter(Boolean).join('\n')
}

const section = (
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string => (rows.length === 0 ? '' : table(headings, rows))
