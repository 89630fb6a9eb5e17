import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import type { Provider } from '../config.js'
import type { Modality } from '../domain.js'
import type { BatchInput, BatchOutput, ProviderRefusal, ProviderReport, WorkerStart } from './protocol.js'

// A provider that cannot be used is refused with its reason in the report; onnxruntime would shout it as well.
env.logLevel = 'fatal'

export type Sessions = Readonly<Record<Modality, InferenceSession>>

/** Opens both graphs on the first provider that takes them, in the order asked; null where none does. */
export async function openSessions({
  graphs,
  providers,
  threads,
}: WorkerStart): Promise<
  { sessions: Sessions; report: ProviderReport } | { sessions: null; refused: ProviderRefusal[] }
> {
  const refused: ProviderRefusal[] = []
  for (const provider of providers) {
    try {
      const open = (graph: string) => openSession(graph, provider, threads)
      const sessions = { audio: await open(graphs.audio), visual: await open(graphs.visual) }
      return { sessions, report: { inUse: provider, refused } }
    } catch (error) {
      refused.push({ provider, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { sessions: null, refused }
}

export async function runBatch(sessions: Sessions, input: BatchInput): Promise<BatchOutput> {
  const session = sessions[input.modality]
  const answers = session.outputNames.includes('logits') ? ['embedding', 'logits'] : ['embedding']
  const { embedding, logits } = await session.run(feeds(input), answers)
  return { embeddings: floats(embedding), logits: logits ? floats(logits) : null }
}

function openSession(graph: string, provider: Provider, threads: number): Promise<InferenceSession> {
  return InferenceSession.create(graph, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Threads that spin while they wait would take the cores from ffmpeg.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
}

function feeds(input: BatchInput): Record<string, Tensor> {
  if (input.modality === 'visual') return { frames: new Tensor('uint8', input.frames, [...input.shape, 3]) }
  const batch = input.lengths.length
  return {
    samples: new Tensor('float32', input.samples, [batch, input.samples.length / batch]),
    lengths: new Tensor('int64', BigInt64Array.from(input.lengths, BigInt), [batch]),
  }
}

/** onnxruntime owns the memory of its outputs: the copy is ours to transfer. */
function floats(tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error(`Expected a float32 output, got ${tensor?.type}`)
  return tensor.data.slice()
}
