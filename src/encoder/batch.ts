import type { MediaSegment, SegmentFormat } from '../domain/segment-format.js'
import type { UnitVector } from '../domain/vector.js'
import type { Waiting } from './batching.js'
import type { Encoding, SegmentEncoding } from './encoding.js'
import type { AudioBatch, BatchInput, BatchOutput, FrameBatch, ModalityOutput } from './protocol.js'

/** What waits to be encoded: a sound, a frame, or both of a segment. */
export interface BatchItem extends Waiting, Pick<MediaSegment, 'samples' | 'frames'> {
  readonly tags: boolean
}

/** Items of one kind as what the worker takes, with the buffers that are handed over. */
export function assemble(
  items: readonly BatchItem[],
  format: SegmentFormat,
): { readonly batch: BatchInput; readonly buffers: ArrayBuffer[] } {
  const sounds = audioBatch(items, format)
  const frames = frameBatch(items, format)
  const buffers = [sounds?.samples.buffer, frames?.pixels.buffer]
  return {
    batch: { type: 'encode', tags: items.some(({ tags }) => tags), audio: sounds, frames },
    buffers: buffers.filter((buffer) => buffer instanceof ArrayBuffer),
  }
}

/** Each item with its rows of the answer, in the order in which they were assembled. */
export function distribute<Item extends BatchItem>(
  items: readonly Item[],
  { audio, frames, joint }: BatchOutput,
): { readonly item: Item; readonly answer: SegmentEncoding }[] {
  const count = items.reduce((sum, { frames }) => sum + frames.length, 0)
  const heard = audio && encodings(audio, items.length)
  const seen = frames ? encodings(frames, count) : []
  const together = joint ? rows(joint, count) : []
  return items.map((item, i) => ({
    item,
    answer: {
      audio: heard?.[i] ?? null,
      frames: seen.splice(0, item.frames.length),
      joint: together.splice(0, item.frames.length),
    },
  }))
}

function audioBatch(items: readonly BatchItem[], { audio }: SegmentFormat): AudioBatch | null {
  const sounds = items.flatMap(({ samples }) => (samples ? [samples] : []))
  if (sounds.length === 0) return null
  const samples = new Float32Array(sounds.length * audio.samples)
  for (const [i, sound] of sounds.entries()) samples.set(sound, i * audio.samples)
  return { samples, lengths: sounds.map(({ length }) => length) }
}

function frameBatch(items: readonly BatchItem[], { visual }: SegmentFormat): FrameBatch | null {
  const frames = items.flatMap(({ frames }) => frames)
  if (frames.length === 0) return null
  const bytes = visual.width * visual.height * 3
  const pixels = new Uint8Array(frames.length * bytes)
  for (const [i, frame] of frames.entries()) pixels.set(frame, i * bytes)
  return { pixels, shape: [frames.length, visual.height, visual.width] }
}

function encodings({ embeddings, logits }: ModalityOutput, count: number): Encoding[] {
  const tagged = logits && rows(logits, count)
  // The graph's last step is the L2 norm.
  return rows(embeddings, count).map((row, i) => ({
    embedding: row as UnitVector,
    logits: tagged?.[i] ?? null,
  }))
}

function rows(values: Float32Array, count: number): Float32Array[] {
  const length = values.length / count
  return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length))
}
