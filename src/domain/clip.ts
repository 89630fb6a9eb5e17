import type { Metadata } from './attributes.js'
import type { ClipId } from './ids.js'
import type { Modality } from './modality.js'
import type { UnitVector } from './vector.js'

/** A time span in seconds from the start of the clip. A picture has the span 0 to 0. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** Notes about a clip that was indexed with limitations, by code. */
export const NOTES = {
  AUDIO_SILENT: 'Its sound track is silent. Only the picture is indexed.',
  AUDIO_SHORT: 'Its sound is shorter than one second. Earshot repeated it to fill a segment.',
  AUDIO_TRACK_CHOSEN: 'It has several sound tracks. Earshot used the first one that is not silent.',
  AUDIO_FIRST_CHANNEL: 'Its channels cancel each other out. Earshot used the first channel.',
  VISUAL_TRACK_CHOSEN:
    'It has several picture tracks. Earshot used the first one that is not blank.',
  VISUAL_BLANK: 'Every frame of its picture is one flat colour. Only the sound is indexed.',
  VISUAL_HDR:
    'It is HDR, and the installed ffmpeg has no zimg to map its colours. The indexed colours are ' +
    'too pale.',
  COVER_ONLY: 'Its only picture is cover art, not video. Only the sound is indexed.',
  DAMAGED: 'A part of it could not be decoded. The rest is indexed.',
} as const

/** The code of a note. */
export type Note = keyof typeof NOTES

/**
 * One media file of the library. `hasAudio` and `hasVisual` state which modalities are indexed and
 * searchable.
 */
export interface Clip {
  readonly id: ClipId
  readonly path: string
  readonly name: string // the file name of an upload, or the last part of the path
  /**
   * `pending`: the clip has no segments until its file is indexed, for example after a change of
   * model.
   */
  readonly state: 'indexed' | 'pending'
  readonly hash: string | null // SHA-256 of the content, hex; null if pending
  readonly bytes: number
  readonly mtimeMs: number
  readonly seconds: number // measured by decoding, not read from the header; 0 for a picture
  readonly hasAudio: boolean
  readonly hasVisual: boolean
  readonly notes: readonly Note[]
  readonly indexedAt: string // ISO 8601
  readonly metadata: Metadata // set by the user
}

/** A label with its time span and the modality in which it was recognised. */
export interface ClipEvent extends Span, Label {
  readonly source: 'audio' | 'visual' | 'both'
}

/**
 * A class and the probability that its sound is audible. `mid` is the id in AudioSet, for example
 * `/m/0bt9lr`.
 */
export interface Label {
  readonly mid: string
  readonly name: string
  readonly probability: number
}

/**
 * One segment of a clip with the output of the encoder. It has no embedding for a silent or blank
 * modality.
 */
export interface EncodedSegment extends Span {
  readonly embeddings: Readonly<Partial<Record<Modality, UnitVector>>>
  readonly labels: readonly Label[] // most probable first
}
