/** A typed array that stores one value per row. */
export type Column = Int32Array | Float64Array | Uint32Array | Uint8Array

const GROWTH = 1.5
const MIN_LENGTH = 64

/**
 * Returns the column itself if it has `length` entries. Otherwise returns a longer copy, with
 * `empty` as the value of new entries.
 */
export function grown<C extends Column>(column: C, length: number, empty = 0): C {
  if (length <= column.length) return column
  const capacity = Math.max(MIN_LENGTH, length, Math.ceil(column.length * GROWTH))
  const longer = new (column.constructor as new (length: number) => C)(capacity)
  longer.set(column)
  if (empty !== 0) longer.fill(empty, column.length)
  return longer
}
