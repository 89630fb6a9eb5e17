import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { SEARCH_LIMITS } from '../search/limits.js'
import { OpenedFile } from '../storage/opened-file.js'

const STANDARD_INPUT = ['-', '/dev/stdin', '/dev/fd/0']

/** Returns whether an argument stands for standard input. */
export const isStandardInput = (argument: string): boolean => STANDARD_INPUT.includes(argument)

/** Holds an opened input until it is disposed of. */
export interface InputFile extends AsyncDisposable {
  readonly file: OpenedFile
}

/**
 * Opens the file that an argument names. `-` is standard input; a temporary file keeps its bytes
 * until the input is disposed of. Throws FILE_NOT_FOUND, FILE_UNREADABLE, UPLOAD_TOO_LARGE.
 */
export async function openInput(argument: string): Promise<InputFile> {
  if (isStandardInput(argument)) return await openStandardInput()
  const file = await OpenedFile.open(argument)
  return { file, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() }
}

async function openStandardInput(): Promise<InputFile> {
  const folder = await mkdtemp(join(tmpdir(), 'earshot-stdin-'))
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  try {
    const file = await savedStandardInput(join(folder, 'stdin'))
    const dispose = () => file[Symbol.asyncDispose]().finally(removeFolder)
    return { file, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await removeFolder()
    throw error
  }
}

async function savedStandardInput(path: string): Promise<OpenedFile> {
  await saveStandardInput(path)
  return await OpenedFile.open(path)
}

async function saveStandardInput(path: string): Promise<void> {
  const max = SEARCH_LIMITS.queryBytes
  let bytes = 0
  await using file = await open(path, 'wx', 0o600)
  for await (const chunk of process.stdin) {
    bytes += chunk.length
    if (bytes > max) {
      throw new AppError('UPLOAD_TOO_LARGE', `Standard input may have at most ${max} bytes.`)
    }
    await file.appendFile(chunk)
  }
}
