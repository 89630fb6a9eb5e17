import { mp4Header } from './mp4/mp4-header.js'
import { type Probe, probe } from './probe.js'
import { openSource } from './source.js'

/** The header of a file: read here where it is of the commonest kind, and else asked of ffprobe. */
export async function readHeader(path: string, signal?: AbortSignal): Promise<Probe> {
  const known = await mp4Header(path)
  if (known) return known
  await using source = await openSource(path)
  return await probe(source, signal)
}
