import { openEncoder } from '../../app/library.js'
import type { Label } from '../../domain/clip.js'
import { DecoderPool } from '../../media/process/decoder-pool.js'
import { MOST_LABELS } from '../../tagging/limits.js'
import { type Tags, tagFile } from '../../tagging/tag.js'
import type { CliCommand } from '../command.js'
import { clockRange } from '../duration.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { openInput } from '../input.js'
import { action, type Invocation } from '../invocation.js'
import { wholeNumber } from '../options.js'
import { table } from '../table.js'

const DEFAULT_LABELS = 5

type TagInvocation = Invocation<{ readonly limit: number }, [file: string]>

/** Declares `earshot tag`. */
export function addTag(program: CliCommand): void {
  const limit = `labels of the file and of each segment, 1 to ${MOST_LABELS}`
  program
    .command('tag')
    .description('Name the sounds of a file and their times')
    .argument('<file>', 'media file, or - for standard input')
    .option('--limit <n>', limit, wholeNumber(MOST_LABELS), DEFAULT_LABELS)
    .examples('earshot tag street.wav', 'earshot tag film.mp4 --limit 3 --json')
    .action(action(run))
}

async function run({ args, options, config, output, signal }: TagInvocation): Promise<ExitCode> {
  await using input = await openInput(args[0])
  await using encoder = await openEncoder(config)
  const deps = { encoder, decoders: new DecoderPool() }
  const tags = await tagFile(input.file, deps, { limit: options.limit, signal })
  output.result(tags, () => formatTags(tags))
  return EXIT.ok
}

function formatTags({ labels, segments }: Tags): string {
  const rows = segments.map((segment) => [clockRange(segment), formatLabels(segment.labels)])
  return table(['when', 'labels'], [['whole', formatLabels(labels)], ...rows])
}

const formatLabels = (labels: readonly Label[]): string =>
  labels.map(({ name, probability }) => `${name} ${probability.toFixed(2)}`).join(', ') ||
  'no known label'
