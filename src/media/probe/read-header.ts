import type { OpenedFile } from '../../storage/opened-file.js'
import type { DecoderSlot } from '../process/decoder-pool.js'
import { stageFile } from '../staging/staged-file.js'
import type { MediaHeader } from './media-header.js'
import { mp4Header } from './mp4/mp4-header.js'
import { probeHeader } from './probe-header.js'

export interface HeaderOptions {
  readonly slot?: DecoderSlot | undefined
  readonly signal?: AbortSignal | undefined
}

/** The header of a file: read here where it is of the commonest kind, and else asked of ffprobe. */
export async function readHeader(
  file: OpenedFile,
  { slot, signal }: HeaderOptions = {},
): Promise<MediaHeader> {
  const known = await mp4Header(file)
  if (known) return known
  await using source = await stageFile(file, slot?.limits)
  return await probeHeader(source, signal)
}
