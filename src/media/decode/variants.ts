import type { SegmentFormat } from '../../domain/segment-format.js'
import type { AudioTrack, VideoTrack } from '../probe/media-header.js'
import type { StagedFile } from '../staging/staged-file.js'
import {
  type AudioChunk,
  type AudioSummary,
  type AudioVariant,
  isAudible,
  type Mix,
} from './audio.js'
import type { Timing } from './timing.js'
import { isVisible, type VideoChunk, type VideoSummary } from './video.js'

/**
 * Every way to hear a file, best first: each track mixed as the model wants it; then, since channels may cancel each
 * other out, the first channel of each; then all channels, since a mix leaves the LFE out. Channels without a layout are
 * all mixed from the start: ffmpeg would guess what they are for, and leave some out.
 */
export function audioVariants(
  tracks: readonly AudioTrack[],
  { audio: { channels } }: SegmentFormat,
): readonly AudioVariant[] {
  const as = (channels: Mix) => (track: AudioTrack) => ({ track, channels })
  if (channels === 'first') return tracks.map(as('first'))
  const several = tracks.filter((track) => track.channels > 1)
  const laidOut = several.filter(({ hasLayout }) => hasLayout)
  const mixed = tracks.map((track) =>
    as(laidOut.includes(track) || track.channels <= 2 ? 'mean' : 'all')(track),
  )
  return [
    ...mixed,
    ...several.map(as('first')),
    ...laidOut.filter(({ channels }) => channels > 2).map(as('all')),
  ]
}

export interface AudibleOptions {
  readonly source: StagedFile
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly open: (voice: AudioVariant) => AsyncGenerator<AudioChunk, AudioSummary>
  readonly signal?: AbortSignal | undefined
}

/** The parts of the first voice on which anything can be heard; of the first, where nothing can be on any. */
export function firstAudibleVariant(
  first: AsyncGenerator<AudioChunk, AudioSummary>,
  voices: readonly AudioVariant[],
  { source, format, timing, signal, open }: AudibleOptions,
): AsyncGenerator<AudioChunk, AudioSummary> {
  return firstWithContent(first, voices, {
    open,
    isEmpty: ({ samples }) => samples === null,
    hasContent: (voice) => isAudible(source, voice, { format, timing, signal }),
  })
}

export interface VisibleOptions extends Omit<AudibleOptions, 'open'> {
  readonly open: (track: VideoTrack) => AsyncGenerator<VideoChunk, VideoSummary>
}

/** The parts of the first picture track on which anything can be seen; of the first, where nothing can be on any. */
export function firstVisibleTrack(
  first: AsyncGenerator<VideoChunk, VideoSummary>,
  tracks: readonly VideoTrack[],
  { open, ...options }: VisibleOptions,
): AsyncGenerator<VideoChunk, VideoSummary> {
  return firstWithContent(first, tracks, {
    open,
    isEmpty: ({ frames }) => frames.length === 0,
    hasContent: (track) => isVisible(track, options),
  })
}

interface ChoiceOptions<Part, Summary, Choice> {
  readonly open: (choice: Choice) => AsyncGenerator<Part, Summary>
  readonly isEmpty: (part: Part) => boolean
  readonly hasContent: (choice: Choice) => Promise<boolean>
}

/** The first choice is begun with, and the others are looked at only where its first part is empty. */
async function* firstWithContent<Part, Summary, Choice>(
  first: AsyncGenerator<Part, Summary>,
  choices: readonly Choice[],
  { open, isEmpty, hasContent }: ChoiceOptions<Part, Summary, Choice>,
): AsyncGenerator<Part, Summary> {
  try {
    const head = await first.next()
    const isInDoubt = choices.length > 1 && (head.done || isEmpty(head.value))
    const choice = isInDoubt ? await firstWith(hasContent, choices) : choices[0]
    if (choice !== undefined && choice !== choices[0]) {
      await close(first)
      return yield* open(choice)
    }
    if (head.done) return head.value
    yield head.value
    return yield* first
  } finally {
    await close(first)
  }
}

async function close<Part, Summary>(parts: AsyncGenerator<Part, Summary>): Promise<void> {
  await parts.return(undefined as Summary) // nobody reads it
}

async function firstWith<Choice>(
  hasContent: (choice: Choice) => Promise<boolean>,
  choices: readonly Choice[],
): Promise<Choice | undefined> {
  for (const choice of choices) if (await hasContent(choice)) return choice
  return undefined
}
