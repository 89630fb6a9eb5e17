import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { AppError } from '../errors.js'

export interface Upload<Fields> extends AsyncDisposable {
  readonly path: string // a temporary file; gone when the upload is disposed of
  readonly filename: string // as the client calls it
  readonly fields: Fields
}

export interface UploadOptions<Fields> {
  readonly dir: string
  readonly maxBytes: number
  readonly fields: z.ZodType<Fields>
}

/** Streams the `file` of a multipart request to disk and checks its other fields. REQUEST_INVALID, UPLOAD_TOO_LARGE. */
export async function receiveUpload<Fields>(
  request: FastifyRequest,
  { dir, maxBytes, fields: schema }: UploadOptions<Fields>,
): Promise<Upload<Fields>> {
  const folder = join(dir, randomUUID())
  await mkdir(folder)
  const discard = () => rm(folder, { recursive: true, force: true })
  const fields: Record<string, unknown> = {}
  let saved: { readonly path: string; readonly filename: string } | null = null
  try {
    for await (const part of request.parts({ limits: { fileSize: maxBytes, files: 1, fields: 20, parts: 21 } })) {
      if (part.type === 'field') fields[part.fieldname] = part.value
      else {
        saved = { path: join(folder, plainName(part.filename)), filename: part.filename }
        await save(part, saved.path, maxBytes)
      }
    }
    if (saved === null) throw new AppError('REQUEST_INVALID', 'Expected a part named "file" with the media.')
    return { ...saved, fields: parse(schema, fields), [Symbol.asyncDispose]: discard }
  } catch (error) {
    await discard()
    throw asRefusal(error)
  }
}

/** The client's name, so that messages speak of the file as the client does; without what is no part of a name. */
function plainName(filename: string): string {
  const name = basename(filename).replace(/[\p{Cc}/\\]/gu, '')
  return name.slice(-100).replace(/^\.*$/, '') || 'upload'
}

/** The form's parser throws plain errors for a form that is cut or has no boundary; those of files have a code. */
function asRefusal(error: unknown): unknown {
  const isPlain = error instanceof Error && !(error instanceof AppError) && !('code' in error)
  return isPlain
    ? new AppError('REQUEST_INVALID', `The form is not well made: ${error.message}.`, { cause: error })
    : error
}

/** Removes what a killed process left behind; what is younger than a day may belong to one that runs. */
export async function removeAbandoned(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (const name of await readdir(dir)) {
    const { mtimeMs } = await stat(join(dir, name))
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(dir, name), { recursive: true, force: true })
  }
}

const ABANDONED_MS = 24 * 3600 * 1000

/** Checks fields or a JSON body against its schema; REQUEST_INVALID names each field that is wrong. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  if (value === undefined) throw new AppError('REQUEST_INVALID', 'Expected JSON, or a form with a part named "file".')
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = closest(parsed.error.issues).map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')}: ${message}` : message,
  )
  throw new AppError('REQUEST_INVALID', problems.join('; '), { cause: parsed.error })
}

/** Where a value may have several shapes, what it lacks of the one that it is closest to. */
function closest(issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue]
    return closest(issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? [])
  })
}

async function save(part: MultipartFile, path: string, maxBytes: number): Promise<void> {
  if (part.fieldname !== 'file') {
    part.file.resume()
    throw new AppError('REQUEST_INVALID', `Expected the media in a part named "file", got "${part.fieldname}".`)
  }
  try {
    await write(part.file.iterator({ destroyOnReturn: false }), path)
  } catch (error) {
    part.file.resume() // a client whose form is not read to its end does not read why
    throw error
  }
  if (part.file.truncated) {
    throw new AppError(
      'UPLOAD_TOO_LARGE',
      `An upload here may have at most ${maxBytes} bytes: index larger files by path.`,
    )
  }
}

async function write(chunks: AsyncIterable<Buffer>, path: string): Promise<void> {
  await using file = await open(path, 'w')
  for await (const chunk of chunks) await file.appendFile(chunk)
}
