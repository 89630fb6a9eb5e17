import { access } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { requireLibrary } from '../../app/library.js'
import { openApp } from '../../app.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import { pathBytes } from '../../domain/path-text.js'
import { AppError } from '../../errors.js'
import { SEARCH_LIMITS } from '../../search/limits.js'
import { type SearchAnswer, search as searchFor } from '../../search/search.js'
import { isInside } from '../../storage/path-within.js'
import { type Command, EXIT, type OptionValue } from '../command.js'
import { helpFor } from '../help.js'
import { isStandardInput, openInput } from '../input.js'
import { countOption } from '../options.js'
import { clock, table } from '../table.js'

export const search: Command = {
  name: 'search',
  summary: 'Find what goes with a file or a clip of the library',
  usage:
    'search <file|-|clip-id> [--from audio|visual] [--to audio|visual] [--limit <n>] [options]',
  examples: [
    'earshot search bark.wav                  # the video moments that go with a sound',
    'earshot search kitchen.jpg --limit 5     # the sounds that go with a picture',
    'earshot search scene.mp4 --to audio      # the sounds that go with the picture of a video',
  ],
  mostArgs: 1,
  options: { from: { type: 'string' }, to: { type: 'string' }, limit: { type: 'string' } },
  optionHelp: {
    '--from <modality>': 'what the query is judged by: audio or visual',
    '--to <modality>': 'what is wanted back: audio or visual',
    '--limit <n>': `hits wanted, 1 to ${SEARCH_LIMITS.hits} (20)`,
  },
  async run({ args, options, config, output, signal }) {
    const [what] = args
    if (!what) throw new AppError('USAGE', `Say one file or clip id.\n\n${helpFor(search)}`)
    const from = modality('from', options.from)
    const to = modality('to', options.to)
    const limit = countOption('limit', options.limit, { most: SEARCH_LIMITS.hits, otherwise: 20 })
    await requireLibrary(config)
    await using app = await openApp(config, 'read')
    await using input = (await isFile(what)) ? await openInput(what) : null
    const asked = input ? ({ kind: 'file', file: input.file } as const) : clipNamed(what)
    const deps = { encoder: app.encoder, gallery: app.gallery, decoders: app.decoders, signal }
    const answer = await searchFor({ query: { ...asked, from, to }, limit }, deps)
    const sources = [...app.sources.paths, ...config.ingest.roots, ...config.ingest.watch]
    output.result(answer, () => formatText(answer, sources))
    return EXIT.ok
  },
}

async function isFile(what: string): Promise<boolean> {
  if (isStandardInput(what)) return true
  return await access(pathBytes(what)).then(
    () => true,
    () => false,
  )
}

function clipNamed(what: string): { readonly kind: 'clip'; readonly id: string } {
  if (/[./\\]/.test(what)) throw new AppError('FILE_NOT_FOUND', `There is no file ${what}.`)
  return { kind: 'clip', id: what }
}

function modality(name: string, value: OptionValue): Modality | undefined {
  if (value === undefined || MODALITIES.includes(value as Modality))
    return value as Modality | undefined
  throw new AppError('USAGE', `--${name} is audio or visual, not "${value}".`)
}

/** A clip's path from its source on, or the name that it was uploaded by. */
function shownPath(
  { path, name }: { path: string; name: string },
  sources: readonly string[],
): string {
  const source = sources.find((folder) => isInside(folder, path))
  if (source === undefined) return basename(path) === name ? path : name
  return join(basename(source), relative(source, path))
}

function formatText({ query, to, hits }: SearchAnswer, sources: readonly string[]): string {
  if (hits.length === 0) return 'The library has nothing to answer with: index something first.\n'
  const rows = hits.map(({ rank, score, clip, moments: [best] }) => {
    const when = best && best.end > 0 ? `${clock(best.start)}–${clock(best.end)}` : ''
    return [rank, score.toFixed(3), when, shownPath(clip, sources)]
  })
  return `From ${query.from} to ${to}:\n${table(['rank', 'score', 'moment', 'clip'], rows)}`
}
