import type { MediaSegment, SegmentFormat } from '../domain/segment-format.js'
import type { UnitVector } from '../domain/vector.js'
import type { Waiting } from './batching.js'
import type { Encoding, SegmentEncoding } from './encoding.js'
import type { AudioBatch, BatchInput, BatchOutput, FrameBatch, ModalityOutput } from './protocol.js'

/** Input that waits for the encoder: audio, a frame, or the audio and frames of a segment. */
export interface BatchItem extends Waiting, Pick<MediaSegment, 'samples' | 'frames'> {
  readonly tags: boolean
}

/** Returns items of one kind as one batch for the worker, with the buffers to transfer. */
export function assemble(
  items: readonly BatchItem[],
  format: SegmentFormat,
): { readonly batch: BatchInput; readonly buffers: ArrayBuffer[] } {
  const audio = audioBatch(items, format)
  const frames = frameBatch(items, format)
  const buffers = [audio?.samples.buffer, frames?.pixels.buffer]
  return {
    batch: { type: 'encode', tags: items.some(({ tags }) => tags), audio, frames },
    buffers: buffers.filter((buffer) => buffer instanceof ArrayBuffer),
  }
}

/** Splits the output of a batch by item. The items have the order that `assemble` received. */
export function distribute<Item extends BatchItem>(
  items: readonly Item[],
  { audio, frames, joint }: BatchOutput,
): { readonly item: Item; readonly encoding: SegmentEncoding }[] {
  const count = items.reduce((sum, { frames }) => sum + frames.length, 0)
  const audioOutputs = audio && encodings(audio, items.length)
  const frameOutputs = frames ? encodings(frames, count) : []
  const jointOutputs = joint ? rows(joint, count) : []
  return items.map((item, i) => ({
    item,
    encoding: {
      audio: audioOutputs?.[i] ?? null,
      frames: frameOutputs.splice(0, item.frames.length),
      joint: jointOutputs.splice(0, item.frames.length),
    },
  }))
}

function audioBatch(items: readonly BatchItem[], { audio }: SegmentFormat): AudioBatch | null {
  const inputs = items.flatMap(({ samples }) => (samples ? [samples] : []))
  if (inputs.length === 0) return null
  const samples = new Float32Array(inputs.length * audio.samples)
  for (const [i, input] of inputs.entries()) samples.set(input, i * audio.samples)
  return { samples, lengths: inputs.map(({ length }) => length) }
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
  // The last step of the graph normalizes the embedding (L2).
  return rows(embeddings, count).map((row, i) => ({
    embedding: row as UnitVector,
    logits: tagged?.[i] ?? null,
  }))
}

function rows(values: Float32Array, count: number): Float32Array[] {
  const length = values.length / count
  return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length))
}
