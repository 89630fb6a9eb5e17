import type { AttributeValue } from '../../../domain/attributes.js'
import type { Comparison } from '../../vector/filter.js'
import type { StringDictionary } from './string-dictionary.js'

/**
 * The type of a value in a column. A column stores only numbers: the number of a string is its
 * dictionary code.
 */
export const KIND = { number: 0, boolean: 1, string: 2 } as const
/** One of the values of KIND. */
export type Kind = (typeof KIND)[keyof typeof KIND]

/** Returns whether a value in a column satisfies a condition. */
export type CellTest = (kind: number, value: number) => boolean

/** Returns the kind of a value. */
export function kindOf(value: AttributeValue): Kind {
  return KIND[typeof value as keyof typeof KIND]
}

/** Returns a value as a number. Returns undefined if the dictionary does not contain the string. */
export function numberOf(value: AttributeValue, strings: StringDictionary): number | undefined {
  return typeof value === 'string' ? strings.codeOf(value) : Number(value)
}

/** Returns the test for a comparison. It gives the same results as `compares` of filter.ts. */
export function testOf(filter: Comparison, strings: StringDictionary): CellTest {
  switch (filter.op) {
    case 'in':
      return isAmong(filter.values, strings)
    case 'gte':
      return isOrdered(filter.value, strings, (found, value) => found >= value)
    case 'lte':
      return isOrdered(filter.value, strings, (found, value) => found <= value)
    default:
      return isEqual(filter.value, strings)
  }
}

function isEqual(value: AttributeValue, strings: StringDictionary): CellTest {
  const wanted = { kind: kindOf(value), value: numberOf(value, strings) }
  return (kind, found) => kind === wanted.kind && found === wanted.value
}

function isAmong(values: readonly AttributeValue[], strings: StringDictionary): CellTest {
  const byKind = Object.values(KIND).map(
    (kind) =>
      new Set(
        values.filter((each) => kindOf(each) === kind).map((each) => numberOf(each, strings)),
      ),
  )
  return (kind, found) => byKind[kind]?.has(found) === true
}

function isOrdered(
  value: number | string,
  strings: StringDictionary,
  holds: <T extends number | string>(found: T, value: T) => boolean,
): CellTest {
  if (typeof value === 'number') {
    return (kind, found) => kind === KIND.number && holds(found, value)
  }
  return (kind, found) => kind === KIND.string && holds(strings.textOf(found), value)
}
