import type { MediaSegment } from '../../domain/segment-format.js'
import type { AudioChunk, AudioSummary } from './audio.js'
import type { Window } from './timing.js'
import type { VideoChunk, VideoSummary } from './video.js'

/** The audio and the video of a file, in chunks of one segment. */
export interface Streams {
  readonly audio: AsyncGenerator<AudioChunk, AudioSummary> | null
  readonly video: AsyncGenerator<VideoChunk, VideoSummary> | null
  readonly stop: AbortController // stops both
}

/** The summary of each stream, or null if there is no such stream. */
export interface StreamSummaries {
  readonly audio: AudioSummary | null
  readonly video: VideoSummary | null
}

/** Rounds seconds to milliseconds, which is finer than any header and readable. */
export const toMs = (seconds: number): number => Math.round(seconds * 1000) / 1000

/** Joins audio and video to segments. Reads one chunk of each at a time, so neither runs ahead. */
export async function* zipSegments(
  { audio, video, stop }: Streams,
  { start, end }: Window,
  segmentSeconds: number,
): AsyncGenerator<MediaSegment, StreamSummaries> {
  const nextAudio = repeatingEnd(audio)
  const nextVideo = repeatingEnd(video)
  try {
    for (let from = start; ; from += segmentSeconds) {
      const [audioResult, videoResult] = await Promise.all([nextAudio(), nextVideo()])
      if (audioResult.done && videoResult.done)
        return { audio: audioResult.value, video: videoResult.value }
      const seconds = Math.max(
        audioResult.done ? 0 : audioResult.value.seconds,
        videoResult.done ? 0 : videoResult.value.seconds,
      )
      yield {
        start: from,
        end: toMs(Math.min(from + Math.min(seconds, segmentSeconds), end)),
        samples: audioResult.done ? null : audioResult.value.samples,
        frames: videoResult.done ? [] : videoResult.value.frames,
      }
    }
  } catch (error) {
    // The other stream may await ffmpeg, and a generator that awaits cannot be closed.
    stop.abort(error)
    throw error
  } finally {
    const streams: (AsyncGenerator<unknown, unknown> | null)[] = [audio, video]
    await Promise.allSettled(streams.map((stream) => stream?.return(undefined)))
  }
}

/**
 * Returns a function that reads a generator and repeats its return value after the end. A generator
 * itself returns it only once.
 */
function repeatingEnd<Chunk, Summary>(
  chunks: AsyncGenerator<Chunk, Summary> | null,
): () => Promise<IteratorResult<Chunk, Summary | null>> {
  let end: IteratorReturnResult<Summary | null> | null = chunks ? null : { done: true, value: null }
  return async () => {
    if (chunks === null || end !== null) return end as IteratorReturnResult<Summary | null>
    const result = await chunks.next()
    if (result.done) end = result
    return result
  }
}
