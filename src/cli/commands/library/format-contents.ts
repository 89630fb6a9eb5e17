import type { Config } from '../../../config.js'
import type { Counts } from '../../../gallery/catalogue/catalogue.js'
import type { Failure } from '../../../gallery/catalogue/failure.js'
import type { MissingClip } from '../../../gallery/catalogue/files.js'
import type { SourceStatus } from '../../../ingest/scan/sources.js'
import { printable } from '../../printable.js'
import { type Row, table } from '../../table.js'

/** Holds what `earshot library` shows. */
export interface Contents {
  readonly roots: readonly SourceStatus[]
  readonly counts: Counts
  readonly quarantine: readonly Failure[]
  readonly missing: readonly MissingClip[]
}

/** Returns the contents of a library as text. */
export function formatContents({ counts, ...lists }: Contents, { library }: Config): string {
  const { clips, segments, failures } = counts
  const title =
    `${printable(library.dataDir)}: ${clips} clips of ${segments} segments, ` +
    `${failures} files in quarantine\n`
  return [title, ...tablesOf(lists)].join('\n')
}

function tablesOf({ roots, quarantine, missing }: Omit<Contents, 'counts'>): readonly string[] {
  return [
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
  ].flat()
}

/** Returns a table, or nothing if it has no rows. */
const section = (headings: readonly string[], rows: readonly Row[]): readonly string[] =>
  rows.length === 0 ? [] : [table(headings, rows)]
