import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, dirname, join, sep } from 'node:path'
import { AppError } from '../../errors.js'

/** FFMPEG_PATH and FFPROBE_PATH are fluent-ffmpeg's convention; an ffprobe beside FFMPEG_PATH goes with it. */
export async function findFfmpeg(): Promise<string> {
  return find(process.env.FFMPEG_PATH || 'ffmpeg')
}

export async function findFfprobe(): Promise<string> {
  const { FFMPEG_PATH, FFPROBE_PATH } = process.env
  if (FFPROBE_PATH) return find(FFPROBE_PATH)
  const beside = FFMPEG_PATH?.includes(sep) ? join(dirname(FFMPEG_PATH), PROBE_NAME) : null
  return beside !== null && (await isExecutable(beside)) ? beside : find('ffprobe')
}

const SUFFIX = process.platform === 'win32' ? '.exe' : ''
const PROBE_NAME = `ffprobe${SUFFIX}`

const found = new Map<string, string>() // places, by program and PATH

/** Looked for before it is run, where it was found the last time first. */
async function find(program: string): Promise<string> {
  const { PATH = '' } = process.env
  const key = `${program}\n${PATH}`
  const known = found.get(key)
  if (known !== undefined && (await isExecutable(known))) return known
  const place = await search(program, PATH.split(delimiter))
  found.set(key, place)
  return place
}

async function search(program: string, folders: readonly string[]): Promise<string> {
  const places = program.includes(sep)
    ? [program]
    : folders.map((folder) => join(folder, program + SUFFIX))
  for (const place of places) if (await isExecutable(place)) return place
  throw ffmpegMissing(program)
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

export function ffmpegMissing(program: string, cause?: unknown): AppError {
  const detail =
    `Expected ffmpeg 5 or newer, but ${program} cannot be run. Install it (Debian, Ubuntu: apt install ffmpeg; ` +
    'macOS: brew install ffmpeg; Windows: winget install ffmpeg), or set FFMPEG_PATH and FFPROBE_PATH'
  return new AppError('FFMPEG_MISSING', detail, { cause })
}
