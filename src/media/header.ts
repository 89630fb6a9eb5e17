import type { OpenedFile } from '../storage/opened-file.js'
import type { DecoderSlot } from './decoder-pool.js'
import { mp4Header } from './mp4/mp4-header.js'
import { type Probe, probe } from './probe.js'
import { openSource } from './source.js'

export interface HeaderOptions {
  readonly slot?: DecoderSlot | undefined
  readonly signal?: AbortSignal | undefined
}

/** The header of a file: read here where it is of the commonest kind, and else asked of ffprobe. */
export async function readHeader(file: OpenedFile, { slot, signal }: HeaderOptions = {}): Promise<Probe> {
  const known = await mp4Header(file)
  if (known) return known
  await using source = await openSource(file, slot?.limits)
  return await probe(source, signal)
}
