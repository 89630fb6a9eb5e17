import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { isBusy, toAppError } from '../../errors.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import { ffmpegMissing, findFfmpeg, findFfprobe } from './executables.js'

/** What the ffmpeg in use says of itself. */
export interface FfmpegBuild {
  readonly version: string // as 5.1.9-0+deb12u1
  readonly hasZimg: boolean // without it HDR cannot be mapped to ordinary colours
  readonly hasLibvpx: boolean // without it the alpha of VP8 and VP9 is lost
}

const known = new Map<string, Promise<FfmpegBuild>>() // by path: a program is asked once

/** Asks ffmpeg, once in the life of this process; FFMPEG_MISSING where it or ffprobe cannot be run. */
export async function ffmpegBuild(): Promise<FfmpegBuild> {
  const [ffmpeg, ffprobe] = [await findFfmpeg(), await findFfprobe()]
  const key = `${ffmpeg}\n${ffprobe}`
  const build = known.get(key) ?? ask(ffmpeg, ffprobe)
  known.set(key, build)
  build.catch(() => known.delete(key)) // it may be installed meanwhile
  return build
}

async function ask(ffmpeg: string, ffprobe: string): Promise<FfmpegBuild> {
  await banner(ffprobe)
  const text = await banner(ffmpeg)
  return {
    version: /version (\S+)/.exec(text)?.[1] ?? 'unknown',
    hasZimg: text.includes('--enable-libzimg'),
    hasLibvpx: text.includes('--enable-libvpx'),
  }
}

async function banner(path: string): Promise<string> {
  try {
    const options = { timeout: MEDIA_LIMITS.probeMs, killSignal: 'SIGKILL' } as const
    return (await promisify(execFile)(path, ['-version'], options)).stdout
  } catch (cause) {
    throw isBusy(cause) ? toAppError(cause) : ffmpegMissing(path, cause)
  }
}
