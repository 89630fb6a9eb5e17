import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { SEARCH_LIMITS } from '../search/limits.js'
import { OpenedFile } from '../storage/opened-file.js'

const STANDARD_INPUT = ['-', '/dev/stdin', '/dev/fd/0']

/** Whether an argument stands for standard input. */
export const isStandardInput = (argument: string): boolean => STANDARD_INPUT.includes(argument)

export interface InputFile extends AsyncDisposable {
  readonly file: OpenedFile
}

/**
 * Opens the file that an argument names. `-` is standard input, which is kept in a temporary file until
 * the answer is disposed of. Throws FILE_NOT_FOUND, FILE_UNREADABLE, UPLOAD_TOO_LARGE.
 */
export async function openInput(argument: string): Promise<InputFile> {
  if (isStandardInput(argument)) return await openStandardInput()
  const file = await OpenedFile.open(argument)
  return { file, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() }
}

async function openStandardInput(): Promise<InputFile> {
  const folder = await mkdtemp(join(tmpdir(), 'earshot-stdin-'))
  const discard = () => rm(folder, { recursive: true, force: true })
  try {
    const path = join(folder, 'stdin')
    await saveStandardInput(path)
    const file = await OpenedFile.open(path)
    return {
      file,
      async [Symbol.asyncDispose]() {
        await file[Symbol.asyncDispose]()
        await discard()
      },
    }
  } catch (error) {
    await discard()
    throw error
  }
}

async function saveStandardInput(path: string): Promise<void> {
  const most = SEARCH_LIMITS.queryBytes
  let bytes = 0
  await using file = await open(path, 'wx', 0o600)
  for await (const chunk of process.stdin) {
    bytes += chunk.length
    if (bytes > most) {
      throw new AppError('UPLOAD_TOO_LARGE', `Standard input may have at most ${most} bytes.`)
    }
    await file.appendFile(chunk)
  }
}
