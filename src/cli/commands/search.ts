import { access } from 'node:fs/promises'
import { openApp } from '../../app.js'
import { LIMITS } from '../../config.js'
import { MODALITIES, type Modality } from '../../domain.js'
import { AppError } from '../../errors.js'
import { pathBytes } from '../../path-text.js'
import { type SearchAnswer, search as searchFor } from '../../search/search.js'
import { OpenedFile } from '../../storage/opened-file.js'
import { type Command, EXIT, type OptionValue } from '../command.js'
import { helpFor } from '../help.js'
import { countOption } from '../options.js'
import { clock, table } from '../table.js'

export const search: Command = {
  name: 'search',
  summary: 'Find what goes with a file or a clip of the library',
  usage: 'search <file|clip-id> [--from audio|visual] [--to audio|visual] [--limit <n>] [options]',
  examples: [
    'earshot search bark.wav                  # the video moments that go with a sound',
    'earshot search kitchen.jpg --limit 5     # the sounds that go with a picture',
    'earshot search scene.mp4 --to audio      # the sounds that go with the picture of a video',
  ],
  options: { from: { type: 'string' }, to: { type: 'string' }, limit: { type: 'string' } },
  optionHelp: {
    '--from <modality>': 'what the query is judged by: audio or visual',
    '--to <modality>': 'what is wanted back: audio or visual',
    '--limit <n>': `hits wanted, 1 to ${LIMITS.hits} (20)`,
  },
  async run({ args, options, config, output, signal }) {
    const [what] = args
    if (!what || args.length > 1) throw new AppError('USAGE', `Say one file or clip id.\n\n${helpFor(search)}`)
    const from = modality('from', options.from)
    const to = modality('to', options.to)
    const limit = countOption('limit', options.limit, { most: LIMITS.hits, otherwise: 20 })
    await using app = await openApp(config, 'read')
    await using file = (await isFile(what)) ? await OpenedFile.open(what) : null
    const asked = file ? ({ kind: 'file', file } as const) : clipNamed(what)
    const parts = { encoder: app.encoder, gallery: app.gallery, decoders: app.decoders, signal }
    const answer = await searchFor({ query: { ...asked, from, to }, limit }, parts)
    output.result(answer, () => people(answer))
    return EXIT.ok
  },
}

async function isFile(what: string): Promise<boolean> {
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
  if (value === undefined || MODALITIES.includes(value as Modality)) return value as Modality | undefined
  throw new AppError('USAGE', `--${name} is audio or visual, not "${value}".`)
}

function people({ query, to, hits }: SearchAnswer): string {
  if (hits.length === 0) return 'The library has nothing to answer with: index something first.\n'
  const rows = hits.map(({ rank, score, clip, moments: [best] }) => {
    const when = best && best.end > 0 ? `${clock(best.start)}–${clock(best.end)}` : ''
    return [rank, score.toFixed(3), when, clip.path]
  })
  return `From ${query.from} to ${to}:\n${table(['rank', 'score', 'moment', 'clip'], rows)}`
}
