import { basename, join, relative } from 'node:path'
import type { Hit, SearchAnswer } from '../../../search/search.js'
import { isInside } from '../../../storage/path-within.js'
import { clockRange } from '../../duration.js'
import { type Row, table } from '../../table.js'

/** Returns the hits of a search as a table. */
export function formatAnswer(
  { query, to, hits }: SearchAnswer,
  sources: readonly string[],
): string {
  if (hits.length === 0) return 'The library has no match: index some files first.\n'
  const rows = hits.map((hit) => formatHit(hit, sources))
  return `From ${query.from} to ${to}:\n${table(['rank', 'score', 'moment', 'clip'], rows)}`
}

function formatHit({ rank, score, clip, moments }: Hit, sources: readonly string[]): Row {
  const [best] = moments
  const when = best && best.end > 0 ? clockRange(best) : ''
  return [rank, score.toFixed(3), when, shownPath(clip, sources)]
}

/** Returns the path of a clip from its source on, or the name of its upload. */
function shownPath({ path, name }: Hit['clip'], sources: readonly string[]): string {
  const source = sources.find((folder) => isInside(folder, path))
  if (source !== undefined) return join(basename(source), relative(source, path))
  return basename(path) === name ? path : name
}
