import { env, InferenceSession } from 'onnxruntime-node'
import type { Provider } from '../config.js'
import type { ByGraph } from './manifest.js'
import type { ProviderRefusal, ProviderReport, WorkerStart } from './protocol.js'

// The report has the reason of each refused provider. By default onnxruntime also prints it.
env.logLevel = 'fatal'

/** An open session for each graph of a bundle. */
export type Sessions = ByGraph<InferenceSession>

/**
 * Opens all graphs on the first provider that supports them, in the given order. `sessions` is null
 * if none does.
 */
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
      const opened: [string, InferenceSession][] = []
      for (const [name, graph] of Object.entries(graphs))
        opened.push([name, await openSession(graph, provider, threads)])
      const sessions = Object.fromEntries(opened) as Sessions // keys stay the same
      return { sessions, report: { inUse: provider, refused } }
    } catch (error) {
      refused.push({ provider, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { sessions: null, refused }
}

function openSession(
  graph: string,
  provider: Provider,
  threads: number,
): Promise<InferenceSession> {
  return InferenceSession.create(graph, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // Idle threads that spin take CPU time from ffmpeg.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
}
