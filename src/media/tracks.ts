import type { SegmentFormat } from '../domain.js'
import { isAudible, NOTHING_HEARD, type SoundPart, type SoundSummary, type Voice } from './audio.js'
import type { SoundTrack } from './probe.js'
import type { Source } from './source.js'
import type { Timing } from './timing.js'

/**
 * Every way to hear a file, best first: each track mixed as the model wants it; then, since channels may cancel each
 * other out, the first channel of each.
 */
export function voicesOf(tracks: readonly SoundTrack[], { audio: { channels } }: SegmentFormat): readonly Voice[] {
  const mixed = tracks.map((track) => ({ track, channels }))
  if (channels === 'first') return mixed
  const several = tracks.filter((track) => track.channels > 1)
  return [...mixed, ...several.map((track) => ({ track, channels: 'first' as const }))]
}

export interface Listening {
  readonly source: Source
  readonly format: SegmentFormat
  readonly timing: Timing
  readonly open: (voice: Voice) => AsyncGenerator<SoundPart, SoundSummary>
  readonly signal?: AbortSignal | undefined
}

/**
 * The parts of the first voice on which anything can be heard; of the first, where nothing can be on any. That one is
 * begun with, and the others are listened to only where its first part is silent.
 */
export async function* heardParts(
  first: AsyncGenerator<SoundPart, SoundSummary>,
  voices: readonly Voice[],
  listening: Listening,
): AsyncGenerator<SoundPart, SoundSummary> {
  try {
    const head = await first.next()
    const isSilent = head.done || head.value.samples === null
    const voice = isSilent && voices.length > 1 ? await firstAudible(voices, listening) : voices[0]
    if (voice !== undefined && voice !== voices[0]) {
      await leave(first)
      return yield* listening.open(voice)
    }
    if (head.done) return head.value
    yield head.value
    return yield* first
  } finally {
    await leave(first)
  }
}

async function leave(parts: AsyncGenerator<SoundPart, SoundSummary>): Promise<void> {
  await parts.return(NOTHING_HEARD)
}

async function firstAudible(voices: readonly Voice[], listening: Listening): Promise<Voice | undefined> {
  for (const voice of voices) if (await isAudible(listening.source, voice, listening)) return voice
  return undefined
}
