import { access } from 'node:fs/promises'
import { pathBytes } from '../../../domain/path-text.js'
import { AppError } from '../../../errors.js'
import type { OpenedFile } from '../../../storage/opened-file.js'
import { isStandardInput, openInput } from '../../input.js'

/** Holds the target of a search until it is disposed of. */
export interface OpenedQuery extends AsyncDisposable {
  readonly target:
    | { readonly kind: 'file'; readonly file: OpenedFile }
    | { readonly kind: 'clip'; readonly id: string }
}

/** Opens the file that an argument names. An argument that names no file is the id of a clip. */
export async function openQuery(argument: string): Promise<OpenedQuery> {
  if (await isFile(argument)) {
    const input = await openInput(argument)
    const dispose = () => input[Symbol.asyncDispose]()
    return { target: { kind: 'file', file: input.file }, [Symbol.asyncDispose]: dispose }
  }
  if (/[./\\]/.test(argument)) {
    throw new AppError('FILE_NOT_FOUND', `There is no file ${argument}.`)
  }
  return { target: { kind: 'clip', id: argument }, [Symbol.asyncDispose]: async () => {} }
}

async function isFile(argument: string): Promise<boolean> {
  if (isStandardInput(argument)) return true
  return await access(pathBytes(argument)).then(
    () => true,
    () => false,
  )
}
