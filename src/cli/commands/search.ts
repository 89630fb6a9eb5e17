import { Option } from 'commander'
import { requireLibrary } from '../../app/library.js'
import { openApp } from '../../app.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import { SEARCH_LIMITS } from '../../search/limits.js'
import { search } from '../../search/search.js'
import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { wholeNumber } from '../options.js'
import { formatAnswer } from './search/format-answer.js'
import { openQuery } from './search/open-query.js'

const DEFAULT_HITS = 20

interface SearchOptions {
  readonly from?: Modality
  readonly to?: Modality
  readonly limit: number
}

type SearchInvocation = Invocation<SearchOptions, [query: string]>

/** Declares `earshot search`. */
export function addSearch(program: CliCommand): void {
  const modality = (flags: string, description: string) =>
    new Option(`${flags} <modality>`, description).choices(MODALITIES)
  program
    .command('search')
    .description('Find clips that match a file or a clip of the library')
    .argument('<query>', 'media file, - for standard input, or the id of a clip')
    .addOption(modality('--from', 'modality of the query; needed if it has both'))
    .addOption(modality('--to', 'modality of the results; the other one by default'))
    .option(
      '--limit <n>',
      `clips to find, 1 to ${SEARCH_LIMITS.hits}`,
      wholeNumber(SEARCH_LIMITS.hits),
      DEFAULT_HITS,
    )
    .examples(
      'earshot search bark.wav                  # moments of video for a sound',
      'earshot search kitchen.jpg --limit 5     # sounds for a picture',
      'earshot search scene.mp4 --to audio      # sounds for the picture of a video',
    )
    .action(action(run))
}

async function run({ args, options, config, output, signal }: SearchInvocation): Promise<ExitCode> {
  const { from, to, limit } = options
  await requireLibrary(config)
  await using app = await openApp(config, 'read')
  await using query = await openQuery(args[0])
  const { encoder, gallery, decoders } = app
  const request = { query: { ...query.target, from, to }, limit }
  const answer = await search(request, { encoder, gallery, decoders, signal })
  const sources = [...app.sources.paths, ...config.ingest.roots, ...config.ingest.watch]
  output.result(answer, () => formatAnswer(answer, sources))
  return EXIT.ok
}
