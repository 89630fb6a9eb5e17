import type { EncodedSegment, Note } from '../domain/clip.js'
import type { MediaSegment } from '../domain/segment-format.js'
import { type EmbeddedSegment, type EmbedTimings, embed } from '../embed/embed.js'
import type { Bundle } from '../encoder/bundle.js'
import type { Encoder } from '../encoder/encoder.js'
import { AppError } from '../errors.js'
import { openMedia } from '../media/media.js'
import type { DecoderPool } from '../media/process/decoder-pool.js'
import { isSameStat, statFile } from '../storage/file-stat.js'
import type { OpenedFile } from '../storage/opened-file.js'
import { segmentLabels } from '../tagging/labels.js'

/** What `encodeFile` needs to decode and encode a file. */
export interface EncodeDeps {
  readonly encoder: Pick<Encoder, 'bundle' | 'encodeSegment'>
  readonly signal?: AbortSignal | undefined
  readonly decoders: DecoderPool
}

/** The segments, length in seconds and notes that the catalogue stores of a file. */
export interface EncodedFile {
  readonly segments: readonly EncodedSegment[]
  readonly seconds: number
  readonly notes: readonly Note[]
}

/**
 * Decodes and encodes a file for the catalogue. Throws FILE_UNREADABLE if the size or mtime of its
 * path changes meanwhile: the segments may then mix two contents.
 */
export async function encodeFile(
  file: OpenedFile,
  { encoder, signal, decoders }: EncodeDeps,
  timings?: EmbedTimings,
): Promise<EncodedFile> {
  using slot = await decoders.enter('ingest', signal) // waits here do not count in `timings`
  const media = await openMedia(file, encoder.bundle.format, { signal, slot })
  const segments: EncodedSegment[] = []
  const options = { priority: 'ingest', tags: true, signal, ...(timings && { timings }) } as const
  const decoded = { segments: () => releasing(media.segments(), slot) }
  for await (const segment of embed(decoded, encoder, options)) {
    segments.push(toSegment(segment, encoder.bundle))
  }
  if (!isSameStat(file, await statFile(file.path))) {
    const detail = `${file.name} changed while it was indexed: index it again when it is complete`
    throw new AppError('FILE_UNREADABLE', detail)
  }
  const { seconds, notes } = media.outcome
  return { segments, seconds, notes }
}

/** Yields the segments, then frees the slot while the encoder still works on the last of them. */
async function* releasing(segments: AsyncGenerator<MediaSegment>, slot: Disposable) {
  using _slot = slot
  yield* segments
}

function toSegment(segment: EmbeddedSegment, bundle: Bundle): EncodedSegment {
  const { start, end, audio, visual } = segment
  const embeddings = {
    ...(audio && { audio: audio.embedding }),
    ...(visual && { visual: visual.embedding }),
  }
  return { start, end, embeddings, labels: segmentLabels(segment, bundle) }
}
