import { resolve } from 'node:path'
import { openLibraryOrEmpty } from '../../app/library.js'
import { type App, openApp } from '../../app.js'
import type { Config } from '../../config.js'
import { AppError } from '../../errors.js'
import {
  FILES_PER_THREAD,
  IngestInterrupted,
  type IngestReport,
  ingestPaths,
} from '../../ingest/runner/ingest-paths.js'
import { classifyFiles } from '../../ingest/scan/classify.js'
import { jobRequest } from '../../ingest/scan/job-request.js'
import { SkippedFiles } from '../../ingest/scan/skipped-files.js'
import { RESCAN_MINUTES, SETTLE_SECONDS } from '../../ingest/watch/watch.js'
import { watchAndIngest } from '../../ingest/watch/watch-and-ingest.js'
import { JOB_MODES, type JobRequest, type SkippedExtensions } from '../../jobs/jobs.js'
import { realPaths } from '../../storage/path-within.js'
import { type Command, EXIT, type ExitCode, type Invocation, type Output } from '../command.js'
import { helpFor } from '../help.js'
import { Interrupted } from '../interrupt.js'
import { choiceOption, countOption, listOption } from '../options.js'
import { printable } from '../printable.js'
import { progressTo } from '../progress.js'

export const index: Command = {
  name: 'index',
  summary: 'Index files and folders into the library, once or for as long as they change',
  usage: 'index <paths…> [--watch] [--mode missing|changed|all] [--dry-run] [options]',
  examples: [
    'earshot index ~/clips',
    'earshot index interview.mp4 room-tone.wav --data ./library --json',
    "earshot index /archive --ignore '*.wav' --ignore 'drafts/**' --dry-run",
    'earshot index /mnt/nas --watch --poll 10',
  ],
  mostArgs: Number.POSITIVE_INFINITY,
  options: {
    watch: { type: 'boolean' },
    mode: { type: 'string' },
    'dry-run': { type: 'boolean' },
    include: { type: 'string', multiple: true },
    ignore: { type: 'string', multiple: true },
    'follow-links': { type: 'boolean' },
    'no-default-ignores': { type: 'boolean' },
    concurrency: { type: 'string' },
    settle: { type: 'string' },
    rescan: { type: 'string' },
    poll: { type: 'string' },
  },
  optionHelp: {
    '--watch': 'go on until Ctrl-C: index what comes and changes, mark what goes as missing',
    '--mode <mode>':
      'missing: files without a clip; changed: also those that have changed (default); all: every file anew',
    '--dry-run': 'say what would be done, and do nothing',
    '--include <glob>': 'take these files of folders, whatever they are called (repeatable)',
    '--ignore <glob>': 'leave out these files and folders (repeatable)',
    '--follow-links': 'enter folders that are links',
    '--no-default-ignores': 'take recycle bins, thumbnails, snapshots and their like, too',
    '--concurrency <n>': `files on their way at once (${FILES_PER_THREAD} for each of EARSHOT_THREADS)`,
    '--settle <s>': `watching: seconds for which a file must have stood still (${SETTLE_SECONDS})`,
    '--rescan <min>': `watching: minutes between scans of everything (${RESCAN_MINUTES})`,
    '--poll <s>':
      'watching: ask every file each so many seconds, for network mounts that tell nothing',
  },
  async run(invocation) {
    const { args, options, config, output } = invocation
    if (args.length === 0) throw new AppError('USAGE', `Say what to index.\n\n${helpFor(index)}`)
    const sources = await realPaths(args.map((path) => resolve(path)))
    const request = jobRequest(sources, {
      mode: choiceOption('mode', options.mode, { choices: JOB_MODES, otherwise: 'changed' }),
      include: listOption(options.include),
      ignore: listOption(options.ignore),
      followLinks: options['follow-links'] === true,
      defaultIgnores: options['no-default-ignores'] !== true,
    })
    if (options['dry-run']) return dryRun(request, config, output)
    const concurrency = countOption('concurrency', options.concurrency, {
      most: 1024,
      otherwise: config.encoder.threads * FILES_PER_THREAD,
    })
    const times = watchTimes(options)
    await using app = await openApp(config)
    app.sources.add(request.sources)
    if (options.watch) return await keepIndexed(request, app, { ...times, concurrency }, invocation)
    return await indexOnce(request, app, concurrency, invocation)
  },
}

async function indexOnce(
  { sources, ...request }: JobRequest,
  app: App,
  concurrency: number,
  { config, output, signal }: Invocation,
): Promise<ExitCode> {
  const ingest = async () => {
    using progress = progressTo(process.stderr) // gone before the summary is printed
    return await ingestPaths(
      sources,
      { encoder: app.encoder, gallery: app.gallery, decoders: app.decoders, signal },
      {
        ...request,
        concurrency,
        except: [config.library.dataDir],
        onWarning: (detail) => output.message(printable(detail)),
        onProgress: (step) => progress.update(step),
      },
    )
  }
  try {
    const report = await ingest()
    output.result(report, () => summary(report))
    return exitCode(report)
  } catch (error) {
    if (!(error instanceof IngestInterrupted)) throw error
    output.result(error.report, () => summary(error.report))
    output.message(`${error.message} The same command goes on.`)
    return error.cause instanceof Interrupted ? error.cause.exitCode : EXIT.failed
  }
}

async function dryRun(request: JobRequest, config: Config, output: Output): Promise<ExitCode> {
  await using library = await openLibraryOrEmpty(config)
  const todo: string[] = []
  let unchanged = 0
  let quarantined = 0
  const skipped = new SkippedFiles()
  const options = {
    except: [config.library.dataDir],
    onWarning: (detail: string) => output.message(printable(detail)),
    onSkipped: (extension: string) => skipped.add(extension),
  }
  for await (const found of classifyFiles(request, library, options)) {
    todo.push(...found.todo.map(({ path }) => path))
    unchanged += found.unchanged.length
    quarantined += found.quarantined.length
  }
  output.result({ todo, unchanged, quarantined, skipped: skipped.counts }, () =>
    [
      ...todo.map(printable),
      `${todo.length} to index, ${unchanged} unchanged, ${quarantined} that failed before`,
      skippedLine(skipped.counts),
    ].join('\n'),
  )
  return EXIT.ok
}

interface WatchTimes {
  readonly settleMs: number
  readonly rescanMs: number
  readonly pollMs: number | null
}

function watchTimes({ settle, rescan, poll }: Invocation['options']): WatchTimes {
  return {
    settleMs: 1000 * countOption('settle', settle, { most: 3600, otherwise: SETTLE_SECONDS }),
    rescanMs: 60_000 * countOption('rescan', rescan, { most: 10_000, otherwise: RESCAN_MINUTES }),
    pollMs:
      poll === undefined ? null : 1000 * countOption('poll', poll, { most: 3600, otherwise: 1 }),
  }
}

async function keepIndexed(
  request: JobRequest,
  { encoder, gallery, decoders }: App,
  options: WatchTimes & { readonly concurrency: number },
  { config, output, signal }: Invocation,
): Promise<ExitCode> {
  output.message(`Watching ${printable(request.sources.join(', '))}; Ctrl-C ends.`)
  await watchAndIngest(
    request,
    { encoder, gallery, decoders, signal },
    {
      ...options,
      except: [config.library.dataDir],
      onWarning: (detail) => output.message(printable(detail)),
      onItem: async ({ path, result }) =>
        output.message(`${typeof result === 'string' ? result : result.code} ${printable(path)}`),
    },
  )
  return EXIT.ok
}

function exitCode({ indexed, unchanged, partial, failed, stop }: IngestReport): ExitCode {
  if (stop || (failed.length > 0 && indexed + unchanged + partial === 0)) return EXIT.failed
  return failed.length > 0 || partial > 0 ? EXIT.partial : EXIT.ok
}

function summary(report: IngestReport): string {
  const { job, indexed, unchanged, partial, quarantined, failed, skipped, stop, seconds } = report
  const failures = failed
    .map(({ path, code, detail }) => `${code}  ${printable(path)}\n    ${printable(detail)}\n`)
    .join('')
  const counts = `${indexed} indexed, ${unchanged} unchanged, ${partial} partial, ${failed.length} failed in ${seconds} s\n`
  const before =
    quarantined > 0
      ? `${quarantined} failed before and are as they were: see earshot library\n`
      : ''
  const why = stop
    ? `Job ${job} has paused: ${stop.code}: ${printable(stop.detail)}\nThe same command goes on with it.\n`
    : ''
  return failures + counts + skippedLine(skipped) + before + why
}

/** Files that were passed over because of their extension, the commonest first. */
function skippedLine(skipped: SkippedExtensions): string {
  const found = Object.entries(skipped).sort(([, a], [, b]) => b - a)
  if (found.length === 0) return ''
  const total = found.reduce((sum, [, count]) => sum + count, 0)
  const shown = found
    .slice(0, EXTENSIONS_SHOWN)
    .map(([name, count]) => `${count} ${name ? `.${name}` : 'without extension'}`)
  const more = found.length > shown.length ? ', …' : ''
  return `${total} files are not called as media files are (${printable(shown.join(', '))}${more}): --include takes them\n`
}

const EXTENSIONS_SHOWN = 8
