import type { OpenedFile } from '../../storage/opened-file.js'
import type { DecoderSlot } from '../process/decoder-pool.js'
import { stageFile } from '../staging/staged-file.js'
import type { MediaHeader } from './media-header.js'
import { mp4Header } from './mp4/mp4-header.js'
import { probeHeader } from './probe-header.js'

interface HeaderOptions {
  readonly slot?: DecoderSlot | undefined // permit whose limits apply to ffprobe
  readonly signal?: AbortSignal | undefined
}

/** Reads the header of a file: in this process if it is a plain MP4, else by ffprobe. */
export async function readHeader(
  file: OpenedFile,
  { slot, signal }: HeaderOptions = {},
): Promise<MediaHeader> {
  const header = await mp4Header(file)
  if (header) return header
  await using source = await stageFile(file, slot?.limits)
  return await probeHeader(source, signal)
}
