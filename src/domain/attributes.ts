/** A value of an attribute, for filters. */
export type AttributeValue = string | number | boolean

/**
 * Attributes by name. A clip has `path`, `seconds`, `addedAt` (ISO 8601), `hasAudio`, `hasVisual`,
 * and `meta.<key>` for each entry of its metadata. A segment also has `label.<mid>` with the
 * probability.
 */
export type Attributes = Readonly<Record<string, AttributeValue>>

/** The data that users store with a clip, by key. */
export type Metadata = Readonly<Record<string, AttributeValue>>
