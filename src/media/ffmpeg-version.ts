import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { LIMITS } from '../config.js'
import { ffmpegMissing, findFfmpeg, findFfprobe } from './executables.js'

/** The version in use, as `5.1.9-0+deb12u1`; FFMPEG_MISSING where ffmpeg or ffprobe cannot be run. */
export async function ffmpegVersion(signal?: AbortSignal): Promise<string> {
  await banner(await findFfprobe(), signal)
  return /version (\S+)/.exec(await banner(await findFfmpeg(), signal))?.[1] ?? 'unknown'
}

async function banner(path: string, signal: AbortSignal | undefined): Promise<string> {
  const options = { timeout: LIMITS.probeMs, killSignal: 'SIGKILL', ...(signal && { signal }) } as const
  try {
    return (await promisify(execFile)(path, ['-version'], options)).stdout
  } catch (cause) {
    signal?.throwIfAborted()
    throw ffmpegMissing(path, cause)
  }
}
