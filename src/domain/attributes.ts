/** A value by which the segments of a library can be filtered. */
export type AttributeValue = string | number | boolean

/**
 * Attributes by name. A clip has `path`, `seconds`, `addedAt` (ISO 8601), `hasAudio`, `hasVisual` and
 * `meta.<key>` for each of the user's metadata; a segment adds `label.<mid>` with its probability.
 */
export type Attributes = Readonly<Record<string, AttributeValue>>

/** Data that users keep with a clip, by key. */
export type Metadata = Readonly<Record<string, AttributeValue>>
