import { printable } from './printable.js'

/** Is one row of a table. */
export type Row = readonly (string | number)[]

/** Returns rows under their headings, in aligned columns. Numbers are aligned to the right. */
export function table(headings: readonly string[], rows: readonly Row[]): string {
  const cells = rows.map((row) => row.map((cell) => printable(String(cell))))
  const columns = headings.map((heading, i) => ({
    width: Math.max(heading.length, ...cells.map((row) => row[i]?.length ?? 0)),
    isNumeric: rows.length > 0 && rows.every((row) => typeof row[i] === 'number'),
  }))
  const line = (row: readonly string[]) =>
    columns
      .map(({ width, isNumeric }, i) => row[i]?.[isNumeric ? 'padStart' : 'padEnd'](width))
      .join('  ')
      .trimEnd()
  return `${[headings, ...cells].map(line).join('\n')}\n`
}
