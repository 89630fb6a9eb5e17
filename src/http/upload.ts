import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addAbortSignal } from 'node:stream'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { AppError } from '../errors.js'
import { DiskBudget } from '../storage/disk-budget.js'
import { OpenedFile } from '../storage/opened-file.js'
import { HTTP_LIMITS } from './limits.js'
import { watchTransfer } from './transfer.js'

/** Represents a received form: its file and its checked fields. */
export interface Upload<Fields> extends AsyncDisposable {
  readonly path: string // a temporary file, which disposal deletes
  readonly file: OpenedFile // the temporary file; messages use the name that the client gave
  readonly filename: string
  readonly fields: Fields
}

/** Sets the limits and the schema of an upload. */
export interface ReceiveOptions<Fields> {
  readonly maxBytes: number
  readonly fields: z.ZodType<Fields>
  readonly signal: AbortSignal // aborts if the client disconnects
}

interface SavedFile {
  readonly path: string
  readonly filename: string
}

/** Codes of the form parser for a form with too many parts. */
const TOO_MANY_PARTS = ['FST_PARTS_LIMIT', 'FST_FILES_LIMIT', 'FST_FIELDS_LIMIT']

/** Writes uploads to temporary files. Limits their number and their disk space. */
export class UploadReceiver {
  readonly #active = new Set<string>()
  readonly #disk: DiskBudget

  constructor(private readonly dir: string) {
    this.#disk = new DiskBudget(dir)
  }

  /**
   * Streams the part `file` of a form to disk and checks the other fields. Throws REQUEST_INVALID,
   * UPLOAD_TOO_LARGE, UPLOAD_TOO_SLOW, SERVER_BUSY, DISK_FULL.
   */
  async receive<Fields>(
    request: FastifyRequest,
    options: ReceiveOptions<Fields>,
  ): Promise<Upload<Fields>> {
    options.signal.throwIfAborted()
    if (this.#active.size >= HTTP_LIMITS.uploads) throw tooManyUploads()
    const name = randomUUID()
    this.#active.add(name)
    const folder = join(this.dir, name)
    const discard = async () => {
      await rm(folder, { recursive: true, force: true })
      this.#active.delete(name)
    }
    try {
      await mkdir(folder)
      return await this.#receiveInto(folder, request, options, discard)
    } catch (error) {
      await discard()
      throw asRefusal(error)
    }
  }

  async #receiveInto<Fields>(
    folder: string,
    request: FastifyRequest,
    { maxBytes, fields: schema, signal: left }: ReceiveOptions<Fields>,
    discard: () => Promise<void>,
  ): Promise<Upload<Fields>> {
    using transfer = watchTransfer(request, left)
    using space = await this.#disk.reserve(announcedBytes(request))
    const form = readForm(request, { folder, maxBytes, space, signal: transfer.signal })
    const { saved, fields } = await form.catch((error) => {
      throw transfer.signal.aborted ? transfer.signal.reason : error
    })
    const parsed = parse(schema, fields)
    const file = await OpenedFile.open(saved.path, { name: saved.filename })
    return {
      ...saved,
      file,
      fields: parsed,
      async [Symbol.asyncDispose]() {
        await file[Symbol.asyncDispose]()
        await discard()
      },
    }
  }

  /** Throws if the folder cannot accept an upload. */
  async check(): Promise<void> {
    await access(this.dir, constants.W_OK)
    await this.#disk.expectRoom(0)
  }

  /** Creates the folder and deletes files of earlier processes. Keeps uploads in progress. */
  async sweep(): Promise<void> {
    await mkdir(this.dir, { recursive: true })
    for (const name of await readdir(this.dir)) {
      if (!this.#active.has(name)) await rm(join(this.dir, name), { recursive: true, force: true })
    }
  }
}

interface FormOptions {
  readonly folder: string
  readonly maxBytes: number
  readonly space: { grow(bytes: number): Promise<void> }
  readonly signal: AbortSignal
}

async function readForm(
  request: FastifyRequest,
  { folder, maxBytes, space, signal }: FormOptions,
): Promise<{ saved: SavedFile; fields: Record<string, unknown> }> {
  const limits = {
    fileSize: maxBytes,
    files: 2,
    fields: 20,
    parts: 22,
    fieldSize: HTTP_LIMITS.fieldBytes,
  }
  const parts = request.parts({ limits })
  const fields: Record<string, unknown> = {}
  let saved: SavedFile | null = null
  for (;;) {
    const { done, value: part } = await abortable(parts.next(), signal)
    if (done) break
    if (part.type === 'field') fields[part.fieldname] = part.value
    else {
      if (saved) throw refuse(part, 'Expected one part named "file", got two.')
      saved = { path: join(folder, 'upload'), filename: shownName(part.filename) }
      await save(part, saved.path, { maxBytes, space, signal })
    }
  }
  if (saved === null) {
    throw new AppError('REQUEST_INVALID', 'Expected a part named "file" with the media.')
  }
  return { saved, fields }
}

async function save(
  part: MultipartFile,
  path: string,
  { maxBytes, space, signal }: Omit<FormOptions, 'folder'>,
): Promise<void> {
  if (part.fieldname !== 'file') {
    const got = part.fieldname.slice(0, 100)
    throw refuse(part, `Expected the media in a part named "file", got "${got}".`)
  }
  addAbortSignal(signal, part.file)
  try {
    await using file = await open(path, 'wx')
    for await (const chunk of part.file.iterator({ destroyOnReturn: false })) {
      await space.grow(chunk.length)
      await file.appendFile(chunk)
    }
  } catch (error) {
    part.file.resume() // a client reads the error only after it has sent its form
    throw error
  }
  if (part.file.truncated) {
    const detail = `An upload can have at most ${maxBytes} bytes. Index larger files by path.`
    throw new AppError('UPLOAD_TOO_LARGE', detail)
  }
}

function refuse(part: MultipartFile, detail: string): AppError {
  part.file.resume()
  return new AppError('REQUEST_INVALID', detail)
}

/** Settles with the promise. Rejects if the signal aborts first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Returns the length of the body that the client announces, or 0. */
function announcedBytes({ headers }: FastifyRequest): number {
  return Math.max(0, Number(headers['content-length'] ?? 0) || 0)
}

/** Returns the file name of the client in a form that fits on one line of a message. */
function shownName(filename: string | undefined): string {
  const plain = (filename ?? '').replace(/[\p{Cc}\p{Cf}/\\]/gu, '').trim()
  return [...plain].slice(-100).join('') || 'upload'
}

/** Converts errors of the form parser. A truncated form or a missing boundary has no code. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error
  const { code } = error as NodeJS.ErrnoException
  if (code !== undefined && !TOO_MANY_PARTS.includes(code)) return error
  const detail = `The form is not well formed: ${error.message.slice(0, 200)}.`
  return new AppError('REQUEST_INVALID', detail, { cause: error })
}

function tooManyUploads(): AppError {
  const detail = `${HTTP_LIMITS.uploads} uploads are in progress: try again in a few seconds.`
  return new AppError('SERVER_BUSY', detail)
}

/** Checks fields or a JSON body. Throws REQUEST_INVALID with the names of the invalid fields. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  if (value === undefined)
    throw new AppError('REQUEST_INVALID', 'Expected JSON, or a form with a part named "file".')
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.slice(0, MOST_ISSUES).map(({ path, message }) => {
    const field = path.join('.').slice(0, 100)
    return field ? `${field}: ${message.slice(0, 200)}` : message.slice(0, 200)
  })
  throw new AppError('REQUEST_INVALID', problems.join('; '), { cause: parsed.error })
}

const MOST_ISSUES = 5
