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
 * Returns the variants of a file's audio, best first. First comes each track with the mix of the
 * model. Then comes the first channel of each, since channels may cancel each other out. Then come
 * all channels, since a mix excludes the LFE. Channels without a layout are all mixed from the
 * start: ffmpeg would guess a layout and exclude some.
 */
export function audioVariants(
  tracks: readonly AudioTrack[],
  { audio: { channels } }: SegmentFormat,
): readonly AudioVariant[] {
  const as = (channels: Mix) => (track: AudioTrack) => ({ track, channels })
  if (channels === 'first') return tracks.map(as('first'))
  const multichannel = tracks.filter((track) => track.channels > 1)
  const withLayout = multichannel.filter(({ hasLayout }) => hasLayout)
  const mixed = tracks.map((track) =>
    as(withLayout.includes(track) || track.channels <= 2 ? 'mean' : 'all')(track),
  )
  return [
    ...mixed,
    ...multichannel.map(as('first')),
    ...withLayout.filter(({ channels }) => channels > 2).map(as('all')),
  ]
}

interface AudibleOptions {
  readonly source: StagedFile
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly open: (variant: AudioVariant) => AsyncGenerator<AudioChunk, AudioSummary>
  readonly signal?: AbortSignal | undefined
}

/**
 * Yields chunks of the first non-silent variant, or of variant 0 if all are silent. Other variants
 * are probed only if the first chunk of variant 0 is silent.
 */
export function firstAudibleVariant(
  first: AsyncGenerator<AudioChunk, AudioSummary>,
  variants: readonly AudioVariant[],
  { source, format, timing, signal, open }: AudibleOptions,
): AsyncGenerator<AudioChunk, AudioSummary> {
  return firstWithContent(first, variants, {
    open,
    isEmpty: ({ samples }) => samples === null,
    hasContent: (variant) => isAudible(source, variant, { format, timing, signal }),
  })
}

interface VisibleOptions extends Omit<AudibleOptions, 'open'> {
  readonly open: (track: VideoTrack) => AsyncGenerator<VideoChunk, VideoSummary>
}

/**
 * Yields chunks of the first track that is not blank, or of track 0 if all are blank. Other tracks
 * are probed only if the first chunk of track 0 is blank.
 */
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

interface ChoiceOptions<Chunk, Summary, Choice> {
  readonly open: (choice: Choice) => AsyncGenerator<Chunk, Summary>
  readonly isEmpty: (chunk: Chunk) => boolean
  readonly hasContent: (choice: Choice) => Promise<boolean>
}

/** Yields chunks of choice 0 unless its first chunk is empty and another choice has content. */
async function* firstWithContent<Chunk, Summary, Choice>(
  first: AsyncGenerator<Chunk, Summary>,
  choices: readonly Choice[],
  { open, isEmpty, hasContent }: ChoiceOptions<Chunk, Summary, Choice>,
): AsyncGenerator<Chunk, Summary> {
  try {
    const head = await first.next()
    const mustProbe = choices.length > 1 && (head.done || isEmpty(head.value))
    const choice = mustProbe ? await findAsync(choices, hasContent) : choices[0]
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

async function close<Chunk, Summary>(chunks: AsyncGenerator<Chunk, Summary>): Promise<void> {
  await chunks.return(undefined as Summary) // no caller reads the value
}

async function findAsync<T>(
  items: readonly T[],
  predicate: (item: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const item of items) if (await predicate(item)) return item
  return undefined
}
