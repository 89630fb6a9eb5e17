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
/**
 * Non-blocking: a named pipe can replace the file after `stat`, and the open must not wait for a
 * writer.
 */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** Restrictions and the display name of a file to open. */
export interface OpenOptions {
  /**
   * Folders, by real path. One of them must contain the file. If absent, any location is allowed.
   */
  readonly within?: readonly string[] | undefined
  /** The name of the file in messages. The default is the last part of its path. */
  readonly name?: string | undefined
}

/**
 * A regular file that is opened once. All reads use this descriptor. A file or folder that is
 * replaced after the checks therefore cannot change the content.
 */
export class OpenedFile implements AsyncDisposable {
  readonly bytes: number
  readonly mtimeMs: number
  /** The real path of the descriptor, with symbolic links resolved. */
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
   * Opens the regular file at a path. Throws FILE_NOT_FOUND. Throws FILE_UNREADABLE, also for
   * folders, named pipes, sockets and devices. Throws PATH_NOT_ALLOWED if the file is outside
   * `within`.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<OpenedFile> {
    const name = options.name ?? nameOf(path)
    try {
      expectRegular(await stat(pathBytes(path)), name) // opening a device can have side effects
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

  /**
   * The path with which another process of this user opens this descriptor (Linux) or this file.
   */
  get pathForChildren(): string {
    return process.platform === 'linux'
      ? `/proc/${process.pid}/fd/${this.handle.fd}`
      : this.realPath
  }

  /**
   * Reads `length` bytes at `position`. Returns fewer bytes only at the end of the file. Throws
   * FILE_UNREADABLE.
   */
  async read(length: number, position: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await this.#mapErrors(
        this.handle.read(buffer, filled, length - filled, position + filled),
      )
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  /**
   * Streams the bytes from `start` to `end`, both inclusive. The stream does not close the file.
   */
  stream({ start, end }: { readonly start: number; readonly end: number }): Readable {
    return this.handle.createReadStream({ start, end, autoClose: false })
  }

  /** Returns the SHA-256 of the content, in hex. Throws FILE_UNREADABLE. */
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
   * Returns the SHA-256 of the size, head, middle and tail, in hex. Files with different quick
   * hashes differ. It identifies a moved file without a read of the whole file.
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

  async #mapErrors<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      throw fileError(this.path, cause)
    }
  }
}

/** Returns the file name of a path, on one line. */
export function nameOf(path: string): string {
  return basename(path).replace(/\s+/g, ' ')
}

function expectRegular(stats: Stats, name: string): void {
  if (stats.isFile()) return
  const kind = stats.isDirectory()
    ? 'a folder'
    : stats.isFIFO()
      ? 'a pipe'
      : stats.isSocket()
        ? 'a socket'
        : 'a device'
  throw new AppError('FILE_UNREADABLE', `Expected a file, got ${kind}: ${name}`)
}

function expectWithin(realPath: string, within: readonly string[] | undefined): void {
  if (!within || within.some((folder) => isInside(folder, realPath))) return
  throw new AppError('PATH_NOT_ALLOWED', 'The file is not inside one of the allowed folders.')
}

/**
 * Returns the real path of an open file. On Linux, it reads the path of the descriptor. On other
 * systems, it resolves the path and compares the file with the descriptor.
 */
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
    `Another file replaced ${nameOf(path)} during the open. Try again.`,
  )
}
