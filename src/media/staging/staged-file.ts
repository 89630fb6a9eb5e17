import { mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathBytes } from '../../domain/path-text.js'
import { AppError } from '../../errors.js'
import type { OpenedFile } from '../../storage/opened-file.js'
import { isHeif } from './heif.js'
import { hiddenTagBytes } from './leading-tags.js'
import { MEDIA_LIMITS } from './limits.js'

const DEFAULT_LIMITS: ProcessLimits = {
  memoryBytes: MEDIA_LIMITS.largeDecoderBytes,
  cpuSeconds: null,
}

/** A media file as ffmpeg is told of it. `name` is for messages. */
export interface StagedFile extends AsyncDisposable {
  readonly path: string // of the link to it
  readonly url: string
  readonly name: string
  readonly isHeif: boolean
  readonly limits: ProcessLimits // of each process that reads it
  readonly options?: readonly string[] // options of the input, for ffmpeg and ffprobe alike
}

/**
 * Links to the opened file from an empty folder under a name without extension. ffmpeg then judges by
 * content alone, takes no character of the name for a pattern, an option or a protocol, and finds no
 * other file in the folder. The file must stay open until the source is closed.
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

/** A new, empty folder among the system's temporary files. Throws TEMP_UNUSABLE. */
export async function temporaryFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), PREFIX))
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    if (!UNUSABLE.includes(code)) throw cause
    const detail = `No temporary file can be made in ${tmpdir()} (${code}): set TMPDIR to a folder that can be written.`
    throw new AppError('TEMP_UNUSABLE', detail, { cause })
  }
}

const UNUSABLE = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS']

/** Removes the folders of links that killed processes have left; what is younger than a day may be in use. */
export async function sweepStagedFiles(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const folder = join(tmpdir(), name)
    const isOld = async () => Date.now() - (await stat(folder)).mtimeMs > ABANDONED_MS
    if (name.startsWith(PREFIX) && (await isOld().catch(() => false)))
      await rm(folder, { recursive: true, force: true })
  }
}

const PREFIX = 'earshot-media-'
const ABANDONED_MS = 24 * 3600 * 1000
/** What one decoder process may use; the operating system enforces it. */
export interface ProcessLimits {
  readonly memoryBytes: number
  readonly cpuSeconds: number | null // null: not limited
}
