/** A position in the catalogue's change log; 0 is before the first change. */
export type Seq = number

/** The id of a segment. */
export type SegmentId = number

/** The id of a clip. catalogue/clip-id.ts defines its format. */
export type ClipId = string
