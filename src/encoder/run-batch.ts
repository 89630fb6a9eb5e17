import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { Modality } from '../domain/modality.js'
import type { AudioBatch, BatchInput, BatchOutput, FrameBatch, ModalityOutput } from './protocol.js'
import type { Sessions } from './session.js'

type Feeds = Readonly<Record<string, Tensor>>
/** An output for tags. `tower` is the tokens that the joint graph takes, [B, N, D]. */
type TagOutput = 'logits' | 'tower'

/**
 * Runs the graphs that a batch needs. Towers stay in this thread: they are hundreds of times as
 * large as the output.
 */
export async function runBatch(
  sessions: Sessions,
  { audio, frames, tags }: BatchInput,
): Promise<BatchOutput> {
  const joint = tags && audio && frames ? sessions.joint : undefined
  const wanted = joint ? 'tower' : tags ? 'logits' : null
  const audioRun =
    audio && (await runModality(sessions, 'audio', { feeds: audioFeeds(audio), wanted }))
  const visualRun =
    frames && (await runModality(sessions, 'visual', { feeds: frameFeeds(frames), wanted }))
  return {
    audio: audioRun && toOutput(audioRun, wanted),
    frames: visualRun && toOutput(visualRun, wanted),
    joint: joint ? await runJoint(joint, audioRun?.tags, visualRun?.tags) : null,
  }
}

interface ModalityRun {
  readonly embedding: Tensor | undefined
  readonly tags: Tensor | undefined
}

/**
 * Runs the retrieval graph of a modality, and its tagging graph if tags are wanted and the bundle
 * has one.
 */
async function runModality(
  sessions: Sessions,
  modality: Modality,
  { feeds, wanted }: { readonly feeds: Feeds; readonly wanted: TagOutput | null },
): Promise<ModalityRun> {
  const retrieval = sessions[modality]
  if (!retrieval)
    throw new Error(`Expected ${Object.keys(sessions).join(' or ')} to run, got ${modality}`)
  const tagging = sessions[`${modality}_tagging`]
  const offered = wanted && (tagging ?? retrieval).outputNames.includes(wanted) ? [wanted] : []
  const outputs = await retrieval.run(feeds, ['embedding', ...(tagging ? [] : offered)])
  const tags = tagging && offered.length > 0 ? await tagging.run(feeds, offered) : outputs
  return { embedding: outputs.embedding, tags: wanted ? tags[wanted] : undefined }
}

/** Returns the logits of the audio with each of the frames, [frames, C]. */
async function runJoint(
  joint: InferenceSession,
  audio: Tensor | undefined,
  frames: Tensor | undefined,
): Promise<Float32Array> {
  if (!audio || !frames)
    throw new Error('Expected a tower of both modalities for the joint graph, got none')
  const { logits } = await joint.run(
    { audio_tower: repeat(audio, frames.dims[0] ?? 0), visual_tower: frames },
    ['logits'],
  )
  return floats(logits)
}

/** Returns a batch of one, repeated `times` times. */
function repeat(one: Tensor, times: number): Tensor {
  const values = floats(one)
  const repeated = new Float32Array(times * values.length)
  for (let i = 0; i < times; i++) repeated.set(values, i * values.length)
  return new Tensor('float32', repeated, [times, ...one.dims.slice(1)])
}

function toOutput({ embedding, tags }: ModalityRun, wanted: TagOutput | null): ModalityOutput {
  return {
    embeddings: floats(embedding),
    logits: wanted === 'logits' && tags ? floats(tags) : null,
  }
}

function audioFeeds({ samples, lengths }: AudioBatch): Feeds {
  const batch = lengths.length
  return {
    samples: new Tensor('float32', samples, [batch, samples.length / batch]),
    lengths: new Tensor('int64', BigInt64Array.from(lengths, BigInt), [batch]),
  }
}

function frameFeeds({ pixels, shape }: FrameBatch): Feeds {
  return { frames: new Tensor('uint8', pixels, [...shape, 3]) }
}

/** Copies an output: onnxruntime owns its memory, so only a copy can be transferred. */
function floats(tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array))
    throw new Error(`Expected a float32 output, got ${tensor?.type}`)
  return tensor.data.slice()
}
