import { availableParallelism } from 'node:os'
import type { EncodedSegment, MediaSegment, Note } from '../domain.js'
import { type EmbeddedSegment, type EmbedTimings, embed } from '../embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import type { FileFacts } from '../gallery/catalogue.js'
import { openMedia } from '../media/media.js'
import { segmentLabels } from '../tagging/labels.js'
import { fileFacts, isSame } from './file-facts.js'
import { Slots } from './slots.js'

export interface EncodeParts {
  readonly encoder: Pick<Encoder, 'bundle' | 'encodeSegment'>
  readonly signal?: AbortSignal | undefined
  readonly decoders?: Slots // shared by those who work side by side
}

/** One more than there are cores, since one or another waits for its file; each beyond that only takes from the others. */
export const decoderSlots = (): Slots => new Slots(availableParallelism() + 1)

/** A file as the catalogue takes it. */
export interface EncodedFile {
  readonly segments: readonly EncodedSegment[]
  readonly seconds: number
  readonly notes: readonly Note[]
}

/**
 * Sends a file down the road of ingestion. FILE_UNREADABLE where it is no longer as the facts say when that is done: what
 * was made of it may be of two contents.
 */
export async function encode(
  { path, ...facts }: FileFacts & { readonly path: string },
  { encoder, signal, decoders }: EncodeParts,
  timings?: EmbedTimings,
): Promise<EncodedFile> {
  const media = await openMedia(path, encoder.bundle.format, { signal })
  const segments: EncodedSegment[] = []
  const options = { priority: 'ingest', tags: true, signal, ...(timings && { timings }) } as const
  const slot = await decoders?.take() // before the clock of `timings` starts
  const decoded = { segments: () => handingOver(media.segments(), slot) }
  for await (const segment of embed(decoded, encoder, options)) {
    segments.push(toSegment(segment, encoder.bundle))
  }
  if (!isSame(facts, await fileFacts(path))) {
    throw new AppError('FILE_UNREADABLE', `${path} has changed while it was being indexed: index it when it is whole`)
  }
  const { seconds, notes } = media.outcome
  return { segments, seconds, notes }
}

/** The slot is another's while the last segments are still being encoded. */
async function* handingOver(segments: AsyncGenerator<MediaSegment>, slot: Disposable | undefined) {
  using _slot = slot
  yield* segments
}

function toSegment(segment: EmbeddedSegment, bundle: Bundle): EncodedSegment {
  const { start, end, audio, visual } = segment
  const embeddings = { ...(audio && { audio: audio.embedding }), ...(visual && { visual: visual.embedding }) }
  return { start, end, embeddings, labels: segmentLabels(segment, bundle) }
}
