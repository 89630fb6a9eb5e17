import { openEncoder } from '../../app/library.js'
import type { Label } from '../../domain/clip.js'
import { AppError } from '../../errors.js'
import { DecoderPool } from '../../media/process/decoder-pool.js'
import { MOST_LABELS } from '../../tagging/limits.js'
import { type Tags, tagFile } from '../../tagging/tag.js'
import { type Command, EXIT } from '../command.js'
import { helpFor } from '../help.js'
import { openInput } from '../input.js'
import { countOption } from '../options.js'
import { clock, table } from '../table.js'

export const tag: Command = {
  name: 'tag',
  summary: 'Name what is heard in a file, and when',
  usage: 'tag <file|-> [--limit <n>] [options]',
  examples: ['earshot tag street.wav', 'earshot tag film.mp4 --limit 3 --json'],
  mostArgs: 1,
  options: { limit: { type: 'string' } },
  optionHelp: {
    '--limit <n>': `labels for the whole and for each segment, 1 to ${MOST_LABELS} (5)`,
  },
  async run({ args, options, config, output, signal }) {
    const [file] = args
    if (!file) throw new AppError('USAGE', `Say one file.\n\n${helpFor(tag)}`)
    const limit = countOption('limit', options.limit, { most: MOST_LABELS, otherwise: 5 })
    await using input = await openInput(file)
    await using encoder = await openEncoder(config)
    const decoders = new DecoderPool()
    const tags = await tagFile(input.file, { encoder, decoders }, { limit, signal })
    output.result(tags, () => formatText(tags))
    return EXIT.ok
  },
}

function formatText({ labels, segments }: Tags): string {
  const rows = segments.map(({ start, end, labels }) => [
    `${clock(start)}–${clock(end)}`,
    line(labels),
  ])
  return table(['when', 'labels'], [['whole', line(labels)], ...rows])
}

function line(labels: readonly Label[]): string {
  return (
    labels.map(({ name, probability }) => `${name} ${probability.toFixed(2)}`).join(', ') ||
    'nothing that it knows'
  )
}
