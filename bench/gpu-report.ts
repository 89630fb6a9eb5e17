import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GoldenRow, Step, TimeRow } from './gpu-results.js'

const BATCH_COLUMN = 10 // characters
const NAME_COLUMN = 44
const OPEN = 'open-'

/** Writes report.json and report.txt from steps.tsv, machine.txt and the results of the steps. */
export function writeReport(folder: string): void {
  const machine = read(folder, 'machine.txt').trim()
  const steps = readSteps(folder).map((step) => ({ ...step, rows: readRows(folder, step.name) }))
  const providers = steps
    .filter(({ name }) => name.startsWith(OPEN))
    .map(({ name, status, reason }) => ({
      provider: name.slice(OPEN.length),
      loads: status === 'ok',
      reason,
    }))
  const report = { machine: machine.split('\n'), providers, steps }
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify(report, null, 1)}\n`)
  const text = [
    machine,
    section(
      'Execution providers of onnxruntime-node',
      providers.map(
        ({ provider, loads, reason }) =>
          `${provider} ${loads ? 'loads' : `does not load: ${reason}`}`,
      ),
    ),
    section('Steps', steps.map(stepLine)),
    section(
      'Golden numbers (cosine to the golden answer, largest difference, what is allowed)',
      steps.flatMap(({ name, rows }) => rows.filter(isGolden).map((row) => goldenLine(name, row))),
    ),
    section('Encode time, ms an item by batch', timeLines(steps)),
  ].join('\n\n')
  writeFileSync(join(folder, 'report.txt'), `${text}\n`)
  console.log(text)
}

interface StepWithRows extends Step {
  readonly rows: readonly (GoldenRow | TimeRow)[]
}

const isGolden = (row: GoldenRow | TimeRow): row is GoldenRow => 'cosine' in row
const isTime = (row: GoldenRow | TimeRow): row is TimeRow => 'ms' in row

function section(title: string, lines: readonly string[]): string {
  return [title, ...(lines.length > 0 ? lines : ['nothing was measured'])].join('\n  ')
}

function stepLine({ name, status, seconds, reason }: Step): string {
  return `${name.padEnd(NAME_COLUMN)} ${status}, ${seconds} s${reason && `: ${reason}`}`
}

function goldenLine(name: string, row: GoldenRow): string {
  const { modality, output, cosine, maxDifference, atol } = row
  const verdict = maxDifference <= atol ? 'within' : 'NOT within'
  const label = `${name} ${modality} ${output}`.padEnd(NAME_COLUMN)
  const difference = maxDifference.toExponential(1)
  return `${label} ${cosine.toFixed(7)}  ${difference}  ${verdict} ${atol}`
}

function timeLines(steps: readonly StepWithRows[]): string[] {
  const rows = steps.flatMap(({ name, rows }) => rows.filter(isTime).map((row) => ({ name, row })))
  const batches = [...new Set(rows.map(({ row }) => row.batch))].sort((a, b) => a - b)
  if (batches.length === 0) return []
  const column = (text: string) => text.padStart(BATCH_COLUMN)
  const lines = new Map<string, Map<number, number>>()
  for (const { name, row } of rows) {
    const line = `${name} ${row.kind}`
    lines.set(line, (lines.get(line) ?? new Map()).set(row.batch, row.ms / row.batch))
  }
  return [
    'batch'.padEnd(NAME_COLUMN) + batches.map((batch) => column(String(batch))).join(''),
    ...[...lines].map(
      ([line, ms]) =>
        line.padEnd(NAME_COLUMN) +
        batches.map((batch) => column(ms.get(batch)?.toFixed(2) ?? '–')).join(''),
    ),
  ]
}

function readSteps(folder: string): Step[] {
  const lines = read(folder, 'steps.tsv').split('\n').filter(Boolean)
  return lines.map((line) => {
    const [name = '', status = 'failed', seconds = '0', reason = ''] = line.split('\t')
    return { name, status: status as Step['status'], seconds: Number(seconds), reason }
  })
}

function readRows(folder: string, name: string): readonly (GoldenRow | TimeRow)[] {
  const text = read(folder, `${name}.json`)
  return text ? JSON.parse(text) : []
}

function read(folder: string, name: string): string {
  const file = join(folder, name)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
