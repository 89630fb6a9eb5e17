/** A position in the catalogue's change log; 0 is before the first change. */
export type Seq = number

export type SegmentId = number

export type ClipId = string
