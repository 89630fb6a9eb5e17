import { mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathBytes } from '../../domain/path-text.js'
import { AppError } from '../../errors.js'
import type { OpenedFile } from '../../storage/opened-file.js'
import { isHeif } from './heif.js'
import { hiddenTagBytes } from './leading-tags.js'
import { MEDIA_LIMITS } from './limits.js'

const FOLDER_PREFIX = 'earshot-media-'
const ABANDONED_MS = 24 * 3600 * 1000
const DEFAULT_LIMITS: ProcessLimits = {
  memoryBytes: MEDIA_LIMITS.largeDecoderBytes,
  cpuSeconds: null,
}
const TEMP_UNUSABLE_CODES = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS']

/** The limits of one decoder process. The operating system enforces them. */
export interface ProcessLimits {
  readonly memoryBytes: number
  readonly cpuSeconds: number | null // null: not limited
}

/** A file staged under a neutral name for ffmpeg. Dispose removes the link. */
export interface StagedFile extends AsyncDisposable {
  readonly path: string // of the link
  readonly url: string // ffmpeg's input
  readonly name: string // for messages
  readonly isHeif: boolean
  readonly limits: ProcessLimits // of each process that reads the file
  readonly options?: readonly string[] // input options, for ffmpeg and ffprobe alike
}

/**
 * Links to an opened file from an empty folder, under a name without an extension. ffmpeg then
 * probes by content alone. It finds no pattern, option or protocol in the name, and no other file
 * in the folder. The file must stay open until the staged file is disposed of. Throws
 * TEMP_UNUSABLE.
 */
export async function stageFile(
  file: OpenedFile,
  limits: ProcessLimits = DEFAULT_LIMITS,
): Promise<StagedFile> {
  const folder = await temporaryFolder()
  const path = join(folder, 'media')
  const close = () => rm(folder, { recursive: true, force: true })
  try {
    await symlink(pathBytes(file.pathForChildren), path)
  } catch (cause) {
    await close()
    throw cause
  }
  const source = {
    path,
    url: `file:${path}`,
    name: file.name,
    isHeif: isHeif(await file.read(12, 0)),
    limits,
    [Symbol.asyncDispose]: close,
  }
  const skipped = await hiddenTagBytes(file)
  if (skipped === 0) return source
  const url = `subfile,,start,${skipped},end,${file.bytes},,:${path}`
  return { ...source, url, options: ['-protocol_whitelist', 'file,subfile'] }
}

/** Creates an empty folder in the temporary folder of the system. Throws TEMP_UNUSABLE. */
export async function temporaryFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), FOLDER_PREFIX))
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    if (!TEMP_UNUSABLE_CODES.includes(code)) throw cause
    const detail =
      `No temporary file can be created in ${tmpdir()} (${code}): ` +
      'set TMPDIR to a folder that can be written.'
    throw new AppError('TEMP_UNUSABLE', detail, { cause })
  }
}

/**
 * Removes the link folders that killed processes left in the temporary folder. Keeps folders
 * younger than a day, since a process may use them.
 */
export async function sweepStagedFiles(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const folder = join(tmpdir(), name)
    const isOld = async () => Date.now() - (await stat(folder)).mtimeMs > ABANDONED_MS
    if (name.startsWith(FOLDER_PREFIX) && (await isOld().catch(() => false)))
      await rm(folder, { recursive: true, force: true })
  }
}
