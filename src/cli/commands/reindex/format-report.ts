import type { ReindexReport } from '../../../reindex/reindex.js'
import { printable } from '../../printable.js'

/** Returns the report of a change of bundle as text. */
export function formatReport({ waiting, ...report }: ReindexReport): string {
  const { clips, encoded, copied, partial, kept, seconds } = report
  const lines = waiting.map(
    ({ waits, path, detail }) => `${waits}  ${printable(path)}\n    ${printable(detail)}\n`,
  )
  const counts =
    `${clips} clips: ${encoded} encoded, ${copied} copied, ${partial} partial, ${kept} kept, ` +
    `${waiting.length} wait for their files, in ${seconds} s\n`
  return lines.join('') + counts
}
