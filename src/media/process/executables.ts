import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, dirname, join, sep } from 'node:path'
import { AppError } from '../../errors.js'

const SUFFIX = process.platform === 'win32' ? '.exe' : ''
const FFPROBE_NAME = `ffprobe${SUFFIX}`

const found = new Map<string, string>() // paths, by program and PATH

/**
 * Returns the path of ffmpeg: FFMPEG_PATH, the convention of fluent-ffmpeg, or the first on PATH.
 * Throws FFMPEG_MISSING.
 */
export async function findFfmpeg(): Promise<string> {
  return find(process.env.FFMPEG_PATH || 'ffmpeg')
}

/**
 * Returns the path of ffprobe: FFPROBE_PATH, else the ffprobe in the folder of FFMPEG_PATH, else
 * the first on PATH. Throws FFMPEG_MISSING.
 */
export async function findFfprobe(): Promise<string> {
  const { FFMPEG_PATH, FFPROBE_PATH } = process.env
  if (FFPROBE_PATH) return find(FFPROBE_PATH)
  const sibling = FFMPEG_PATH?.includes(sep) ? join(dirname(FFMPEG_PATH), FFPROBE_NAME) : null
  return sibling !== null && (await isExecutable(sibling)) ? sibling : find('ffprobe')
}

/** Returns the path of a program. Tries the cached path first. */
async function find(program: string): Promise<string> {
  const { PATH = '' } = process.env
  const key = `${program}\n${PATH}`
  const cached = found.get(key)
  if (cached !== undefined && (await isExecutable(cached))) return cached
  const path = await search(program, PATH.split(delimiter))
  found.set(key, path)
  return path
}

async function search(program: string, folders: readonly string[]): Promise<string> {
  const paths = program.includes(sep)
    ? [program]
    : folders.map((folder) => join(folder, program + SUFFIX))
  for (const path of paths) if (await isExecutable(path)) return path
  throw ffmpegMissing(program)
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Creates FFMPEG_MISSING, with the commands that install ffmpeg. */
export function ffmpegMissing(program: string, cause?: unknown): AppError {
  const detail =
    `Expected ffmpeg 5 or newer, but ${program} cannot be run. ` +
    'Install it (Debian, Ubuntu: apt install ffmpeg; ' +
    'macOS: brew install ffmpeg; Windows: winget install ffmpeg), ' +
    'or set FFMPEG_PATH and FFPROBE_PATH'
  return new AppError('FFMPEG_MISSING', detail, { cause })
}
