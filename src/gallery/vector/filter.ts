import type { Attributes, AttributeValue } from '../../domain/attributes.js'

/**
 * A condition on the attributes of a segment and of its clip. A comparison is false if the
 * attribute is missing or its type differs from the type of the value. `ne` is the negation of
 * `eq`. Strings are compared by their UTF-16 code units.
 */
export type Filter =
  | { readonly op: 'eq'; readonly attribute: string; readonly value: AttributeValue }
  | { readonly op: 'ne'; readonly attribute: string; readonly value: AttributeValue }
  | { readonly op: 'in'; readonly attribute: string; readonly values: readonly AttributeValue[] }
  | { readonly op: 'gte' | 'lte'; readonly attribute: string; readonly value: number | string }
  | { readonly op: 'exists'; readonly attribute: string }
  | { readonly op: 'and' | 'or'; readonly filters: readonly Filter[] }
  | { readonly op: 'not'; readonly filter: Filter }

/** Returns whether the attributes satisfy the filter. */
export function matches(filter: Filter, attributes: Attributes): boolean {
  switch (filter.op) {
    case 'and':
      return filter.filters.every((each) => matches(each, attributes))
    case 'or':
      return filter.filters.some((each) => matches(each, attributes))
    case 'not':
      return !matches(filter.filter, attributes)
    case 'exists':
      return attributes[filter.attribute] !== undefined
    case 'ne':
      return attributes[filter.attribute] !== filter.value
    default:
      return compares(filter, attributes[filter.attribute])
  }
}

/** A filter that compares one attribute with values. */
export type Comparison = Extract<Filter, { readonly op: 'eq' | 'in' | 'gte' | 'lte' }>

/** Returns whether the value of an attribute satisfies a comparison. */
export function compares(filter: Comparison, found: AttributeValue | undefined): boolean {
  switch (filter.op) {
    case 'in':
      return found !== undefined && filter.values.includes(found)
    case 'gte':
      return typeof found === typeof filter.value && found !== undefined && found >= filter.value
    case 'lte':
      return typeof found === typeof filter.value && found !== undefined && found <= filter.value
    default:
      return found === filter.value
  }
}
