import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { isBusy, toAppError } from '../../errors.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import { ffmpegMissing, findFfmpeg, findFfprobe } from './executables.js'

/** The version and the optional libraries of the installed ffmpeg. */
interface FfmpegBuild {
  readonly version: string // such as 5.1.9-0+deb12u1
  readonly hasZimg: boolean // without zimg, HDR is not mapped to BT.709
  readonly hasLibvpx: boolean // without libvpx, the alpha of VP8 and VP9 is lost
}

const builds = new Map<string, Promise<FfmpegBuild>>() // by the paths of ffmpeg and ffprobe

/**
 * Returns the build of the installed ffmpeg. Runs each program once in the life of this process.
 * Throws FFMPEG_MISSING if ffmpeg or ffprobe cannot be run.
 */
export async function ffmpegBuild(): Promise<FfmpegBuild> {
  const [ffmpeg, ffprobe] = [await findFfmpeg(), await findFfprobe()]
  const key = `${ffmpeg}\n${ffprobe}`
  const build = builds.get(key) ?? readBuild(ffmpeg, ffprobe)
  builds.set(key, build)
  build.catch(() => builds.delete(key)) // a user may install it later
  return build
}

async function readBuild(ffmpeg: string, ffprobe: string): Promise<FfmpegBuild> {
  await readBanner(ffprobe)
  const banner = await readBanner(ffmpeg)
  return {
    version: /version (\S+)/.exec(banner)?.[1] ?? 'unknown',
    hasZimg: banner.includes('--enable-libzimg'),
    hasLibvpx: banner.includes('--enable-libvpx'),
  }
}

async function readBanner(path: string): Promise<string> {
  try {
    const options = { timeout: MEDIA_LIMITS.probeMs, killSignal: 'SIGKILL' } as const
    return (await promisify(execFile)(path, ['-version'], options)).stdout
  } catch (cause) {
    throw isBusy(cause) ? toAppError(cause) : ffmpegMissing(path, cause)
  }
}
