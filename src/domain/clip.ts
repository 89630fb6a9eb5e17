import type { Metadata } from './attributes.js'
import type { ClipId } from './ids.js'
import type { Modality } from './modality.js'
import type { UnitVector } from './vector.js'

/** Seconds from the start of the clip. A picture is the span 0 to 0. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** What is worth knowing about a clip that was indexed all the same. */
export const NOTES = {
  AUDIO_SILENT:
    'It has a sound track, and nothing can be heard on it: only the picture is indexed.',
  AUDIO_SHORT: 'Its sound is shorter than one second: it was repeated to fill a segment.',
  AUDIO_TRACK_CHOSEN: 'It has several sound tracks: the first that is not silent was taken.',
  AUDIO_FIRST_CHANNEL: 'Its channels cancel each other out: the first was taken.',
  VISUAL_TRACK_CHOSEN: 'It has several picture tracks: the first that is not blank was taken.',
  VISUAL_BLANK: 'It has a picture, and every frame is one flat colour: only the sound is indexed.',
  VISUAL_HDR:
    'It is HDR, and the ffmpeg in use has no zimg to map its colours: they are indexed paler than they are.',
  COVER_ONLY: 'Its only picture is cover art, which is not video: only the sound is indexed.',
  DAMAGED: 'Some of it could not be decoded: what could be is indexed.',
} as const

export type Note = keyof typeof NOTES

/** One media file of the library. `hasAudio` and `hasVisual` say which halves are indexed, hence searchable. */
export interface Clip {
  readonly id: ClipId
  readonly path: string
  readonly name: string // of an upload as the client called it, else the last part of the path
  /** `pending`: it has no segments until its file is indexed, as after a change of model. */
  readonly state: 'indexed' | 'pending'
  readonly hash: string | null // SHA-256 of the content, hex; null while it is pending
  readonly bytes: number
  readonly mtimeMs: number
  readonly seconds: number // measured by decoding, never the header's claim; 0 for a picture
  readonly hasAudio: boolean
  readonly hasVisual: boolean
  readonly notes: readonly Note[]
  readonly indexedAt: string // ISO 8601
  readonly metadata: Metadata // of the user
}

/** A label with the time in which it was recognised, and what it was recognised in. */
export interface ClipEvent extends Span, Label {
  readonly source: 'audio' | 'visual' | 'both'
}

/** A class with the probability that its sound is heard. `mid` is AudioSet's id, as `/m/0bt9lr`. */
export interface Label {
  readonly mid: string
  readonly name: string
  readonly probability: number
}

/** One segment of a clip as the encoder answers it. A modality that cannot be heard or seen has no embedding. */
export interface EncodedSegment extends Span {
  readonly embeddings: Readonly<Partial<Record<Modality, UnitVector>>>
  readonly labels: readonly Label[] // most probable first
}
