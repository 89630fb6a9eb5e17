import { after } from 'node:test'
import { OpenedFile } from '../src/storage/opened-file.js'

const files: OpenedFile[] = []
after(() => Promise.all(files.map((file) => file[Symbol.asyncDispose]())))

/** Opens a file until the tests of the current test file end. */
export async function opened(path: string): Promise<OpenedFile> {
  const file = await OpenedFile.open(path)
  files.push(file)
  return file
}
