import type { MediaSegment } from '../domain.js'
import type { SoundPart, SoundSummary } from './audio.js'
import type { Window } from './timing.js'
import type { PicturePart, PictureSummary } from './video.js'

export interface Halves {
  readonly sound: AsyncGenerator<SoundPart, SoundSummary> | null
  readonly picture: AsyncGenerator<PicturePart, PictureSummary> | null
  readonly stop: AbortController // stops both
}

export interface Summary {
  readonly sound: SoundSummary | null
  readonly picture: PictureSummary | null
}

/** Seconds to the millisecond: finer than any header, and fit to be read. */
export const toMs = (seconds: number): number => Math.round(seconds * 1000) / 1000

/** Sound and picture side by side, one segment of each at a time: neither runs ahead of the other. */
export async function* join(
  { sound, picture, stop }: Halves,
  { start, end }: Window,
  segmentSeconds: number,
): AsyncGenerator<MediaSegment, Summary> {
  const nextSound = keepingEnd(sound)
  const nextPicture = keepingEnd(picture)
  try {
    for (let from = start; ; from += segmentSeconds) {
      const [heard, seen] = await Promise.all([nextSound(), nextPicture()])
      if (heard.done && seen.done) return { sound: heard.value, picture: seen.value }
      const seconds = Math.max(heard.done ? 0 : heard.value.seconds, seen.done ? 0 : seen.value.seconds)
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
    const halves: (AsyncGenerator<unknown, unknown> | null)[] = [sound, picture]
    await Promise.allSettled(halves.map((half) => half?.return(undefined)))
  }
}

/** Reads a generator and repeats its return value after the end, which the generator itself returns only once. */
function keepingEnd<Part, Value>(
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
