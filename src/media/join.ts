import type { MediaSegment } from '../domain.js'
import type { SoundPart, SoundSummary, Window } from './audio.js'
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

const NO_HALF = { done: true, value: null } as const

/** Sound and picture side by side, one segment of each at a time: neither runs ahead of the other. */
export async function* join(
  { sound, picture, stop }: Halves,
  { start, end }: Window,
  segmentSeconds: number,
): AsyncGenerator<MediaSegment, Summary> {
  try {
    for (let from = start; ; from += segmentSeconds) {
      const [heard, seen] = await Promise.all([sound?.next() ?? NO_HALF, picture?.next() ?? NO_HALF])
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
