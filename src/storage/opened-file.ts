import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { pathBytes, pathText } from '../domain/path-text.js'
import { AppError, fileError } from '../errors.js'
import { isInside } from './path-within.js'

const READ_BYTES = 2 ** 20
const QUICK_HASH_BYTES = 2 ** 16
/** Non-blocking: opening a named pipe that took the file's place since `stat` must not wait for a writer. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

export interface OpenOptions {
  /** Folders by their real paths, one of which must contain the file. Absent: any place is allowed. */
  readonly within?: readonly string[] | undefined
  /** The file's name in messages; by default the last part of its path. */
  readonly name?: string | undefined
}

/**
 * A regular file that is opened once. Everything that is read of it comes from this descriptor, so
 * that a file or folder that is replaced after the checks cannot change what is read.
 */
export class OpenedFile implements AsyncDisposable {
  readonly bytes: number
  readonly mtimeMs: number
  /** Real path of the descriptor, symbolic links resolved. */
  readonly realPath: string
  readonly name: string

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    stats: Stats,
    { realPath, name }: { readonly realPath: string; readonly name: string },
  ) {
    this.bytes = stats.size
    this.mtimeMs = stats.mtimeMs
    this.realPath = realPath
    this.name = name
  }

  /**
   * Opens the regular file at a path. Throws FILE_NOT_FOUND, FILE_UNREADABLE (also for folders, named
   * pipes, sockets and devices), PATH_NOT_ALLOWED if the file is outside of `within`.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<OpenedFile> {
    const name = options.name ?? nameOf(path)
    try {
      expectRegular(await stat(pathBytes(path)), name) // opening a device can have effects
      const handle = await open(pathBytes(path), FLAGS)
      try {
        const stats = await handle.stat()
        expectRegular(stats, name)
        const realPath = await realPathOf(handle, path, stats)
        expectWithin(realPath, options.within)
        return new OpenedFile(path, handle, stats, { realPath, name })
      } catch (error) {
        await handle.close()
        throw error
      }
    } catch (cause) {
      throw cause instanceof AppError ? cause : fileError(path, cause)
    }
  }

  /** Path by which another process of this user opens this very descriptor (Linux) or file. */
  get pathForChildren(): string {
    return process.platform === 'linux'
      ? `/proc/${process.pid}/fd/${this.handle.fd}`
      : this.realPath
  }

  /** At most `length` bytes from `position` on; fewer only at the end of the file. */
  async read(length: number, position: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await this.#reading(
        this.handle.read(buffer, filled, length - filled, position + filled),
      )
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  /** The bytes from `start` to `end`, both included. The stream does not close the file. */
  stream({ start, end }: { readonly start: number; readonly end: number }): Readable {
    return this.handle.createReadStream({ start, end, autoClose: false })
  }

  /** SHA-256 of the content, hex. */
  async contentHash(signal?: AbortSignal): Promise<string> {
    const hash = createHash('sha256')
    for (let position = 0; ; position += READ_BYTES) {
      signal?.throwIfAborted()
      const piece = await this.read(READ_BYTES, position)
      hash.update(piece)
      if (piece.length < READ_BYTES) return hash.digest('hex')
    }
  }

  /**
   * SHA-256 of the size, head, middle and tail, hex. Files with different quick hashes differ; a file
   * that was moved is recognised by it without being read whole.
   */
  async quickHash(): Promise<string> {
    const hash = createHash('sha256').update(String(this.bytes))
    const last = this.bytes - QUICK_HASH_BYTES
    for (const at of new Set([0, last / 2, last].map((at) => Math.max(0, Math.floor(at))))) {
      hash.update(await this.read(QUICK_HASH_BYTES, at))
    }
    return hash.digest('hex')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.close()
  }

  async #reading<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      throw fileError(this.path, cause)
    }
  }
}

/** The file's name, fit for one line of a message. */
export function nameOf(path: string): string {
  return basename(path).replace(/\s+/g, ' ')
}

function expectRegular(stats: Stats, name: string): void {
  if (stats.isFile()) return
  const what = stats.isDirectory()
    ? 'a folder'
    : stats.isFIFO()
      ? 'a pipe'
      : stats.isSocket()
        ? 'a socket'
        : 'a device'
  throw new AppError('FILE_UNREADABLE', `Expected a file, got ${what}: ${name}`)
}

function expectWithin(realPath: string, within: readonly string[] | undefined): void {
  if (!within || within.some((folder) => isInside(folder, realPath))) return
  throw new AppError('PATH_NOT_ALLOWED', 'The file is not inside one of the allowed folders.')
}

/** Linux knows the path of a descriptor; elsewhere the path is resolved and compared with it. */
async function realPathOf(handle: FileHandle, path: string, { dev, ino }: Stats): Promise<string> {
  if (process.platform === 'linux') {
    const link = await readlink(`/proc/self/fd/${handle.fd}`, { encoding: 'buffer' }).catch(
      () => null,
    )
    if (link) return pathText(link)
  }
  const real = await realpath(pathBytes(path), { encoding: 'buffer' })
  const found = await stat(real)
  if (found.dev === dev && found.ino === ino) return pathText(real)
  throw new AppError(
    'FILE_UNREADABLE',
    `${nameOf(path)} was replaced while it was opened: try again.`,
  )
}
