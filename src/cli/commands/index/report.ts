import type { IngestFailure, IngestReport } from '../../../ingest/runner/ingest-paths.js'
import type { Reason, SkippedExtensions } from '../../../jobs/jobs.js'
import { printable } from '../../printable.js'

const EXTENSIONS_SHOWN = 8

/** Returns the report of a job as text. */
export function formatReport(report: IngestReport): string {
  const { job, quarantined, failed, skipped, stop } = report
  return [
    ...failed.map(formatFailure),
    formatCounts(report),
    formatSkipped(skipped),
    quarantined > 0 ? `${quarantined} failed before: see earshot library\n` : '',
    stop ? formatStop(job, stop) : '',
  ].join('')
}

const formatFailure = ({ path, code, detail }: IngestFailure): string =>
  `${code}  ${printable(path)}\n    ${printable(detail)}\n`

const formatCounts = ({ indexed, unchanged, partial, failed, seconds }: IngestReport): string =>
  `${indexed} indexed, ${unchanged} unchanged, ${partial} partial, ` +
  `${failed.length} failed in ${seconds} s\n`

const formatStop = (job: number, { code, detail }: Reason): string =>
  `Job ${job} has paused: ${code}: ${printable(detail)}\nRun the same command to continue.\n`

/** Returns the number of skipped files and their most frequent extensions. */
export function formatSkipped(skipped: SkippedExtensions): string {
  const found = Object.entries(skipped).sort(([, a], [, b]) => b - a)
  if (found.length === 0) return ''
  const total = found.reduce((sum, [, count]) => sum + count, 0)
  const shown = found.slice(0, EXTENSIONS_SHOWN).map(formatExtension)
  const extensions = printable(shown.join(', ')) + (found.length > shown.length ? ', …' : '')
  return `${total} files skipped by extension (${extensions}): use --include to index them\n`
}

const formatExtension = ([name, count]: [string, number]): string =>
  `${count} ${name ? `.${name}` : 'without extension'}`
