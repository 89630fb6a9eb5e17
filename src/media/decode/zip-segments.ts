import type { MediaSegment } from '../../domain/segment-format.js'
import type { AudioChunk, AudioSummary } from './audio.js'
import type { Window } from './timing.js'
import type { VideoChunk, VideoSummary } from './video.js'

export interface Streams {
  readonly audio: AsyncGenerator<AudioChunk, AudioSummary> | null
  readonly video: AsyncGenerator<VideoChunk, VideoSummary> | null
  readonly stop: AbortController // stops both
}

export interface StreamSummaries {
  readonly audio: AudioSummary | null
  readonly video: VideoSummary | null
}

/** Seconds to the millisecond: finer than any header, and fit to be read. */
export const toMs = (seconds: number): number => Math.round(seconds * 1000) / 1000

/** Sound and picture side by side, one segment of each at a time: neither runs ahead of the other. */
export async function* zipSegments(
  { audio, video, stop }: Streams,
  { start, end }: Window,
  segmentSeconds: number,
): AsyncGenerator<MediaSegment, StreamSummaries> {
  const nextSound = repeatingEnd(audio)
  const nextPicture = repeatingEnd(video)
  try {
    for (let from = start; ; from += segmentSeconds) {
      const [heard, seen] = await Promise.all([nextSound(), nextPicture()])
      if (heard.done && seen.done) return { audio: heard.value, video: seen.value }
      const seconds = Math.max(
        heard.done ? 0 : heard.value.seconds,
        seen.done ? 0 : seen.value.seconds,
      )
      yield {
        start: from,
        end: toMs(Math.min(from + Math.min(seconds, segmentSeconds), end)),
        samples: heard.done ? null : heard.value.samples,
        frames: seen.done ? [] : seen.value.frames,
      }
    }
  } catch (error) {
    stop.abort(error) // the other half may be waiting for ffmpeg, and a generator that waits cannot be closed
    throw error
  } finally {
    const halves: (AsyncGenerator<unknown, unknown> | null)[] = [audio, video]
    await Promise.allSettled(halves.map((half) => half?.return(undefined)))
  }
}

/** Reads a generator and repeats its return value after the end, which the generator itself returns only once. */
function repeatingEnd<Part, Value>(
  parts: AsyncGenerator<Part, Value> | null,
): () => Promise<IteratorResult<Part, Value | null>> {
  let end: IteratorReturnResult<Value | null> | null = parts ? null : { done: true, value: null }
  return async () => {
    if (parts === null || end !== null) return end as IteratorReturnResult<Value | null>
    const result = await parts.next()
    if (result.done) end = result
    return result
  }
}
