import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { Column } from './typed-arrays.js'

const STRINGS_PER_WRITE = 4096 // encoded and written at once

/**
 * Writes columns and strings in sequence. It does not copy the columns, so the caller must not
 * change them during the write. A column is its length in bytes (a double) and its bytes, padded to
 * a multiple of eight.
 */
export class ColumnWriter implements AsyncDisposable {
  private constructor(private readonly file: FileHandle) {}

  /** Creates the file. Throws if the file exists. */
  static async create(path: string): Promise<ColumnWriter> {
    return new ColumnWriter(await open(path, 'wx'))
  }

  /** Writes one column. */
  async write(column: Column): Promise<void> {
    const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
    await this.#append(new Uint8Array(Float64Array.of(bytes.length).buffer))
    await this.#append(bytes)
    await this.#append(new Uint8Array(paddingOf(bytes.length)))
  }

  /** Writes the lengths in UTF-8 bytes, then all strings as one column. */
  async writeStrings(strings: readonly string[]): Promise<void> {
    const lengths = Int32Array.from(strings, (each) => Buffer.byteLength(each))
    await this.write(lengths)
    const total = lengths.reduce((sum, each) => sum + each, 0)
    await this.#append(new Uint8Array(Float64Array.of(total).buffer))
    for (let from = 0; from < strings.length; from += STRINGS_PER_WRITE) {
      const batch = strings.slice(from, from + STRINGS_PER_WRITE)
      await this.#append(Buffer.concat(batch.map((each) => Buffer.from(each))))
    }
    await this.#append(new Uint8Array(paddingOf(total)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close()
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await this.file.writeFile(bytes)
  }
}

/** Reads the columns of a `ColumnWriter`, in the same order. */
export class ColumnReader {
  #at = 0

  private constructor(private readonly buffer: ArrayBuffer) {}

  /** Reads the whole file into memory. */
  static async open(path: string): Promise<ColumnReader> {
    return new ColumnReader(new Uint8Array(await readFile(path)).buffer)
  }

  int32(): Int32Array {
    return new Int32Array(this.#next())
  }

  uint8(): Uint8Array {
    return new Uint8Array(this.#next())
  }

  float64(): Float64Array {
    return new Float64Array(this.#next())
  }

  strings(): string[] {
    const lengths = this.int32()
    const bytes = Buffer.from(this.#next())
    let at = 0
    return Array.from(lengths, (length) => {
      at += length
      return bytes.toString('utf8', at - length, at)
    })
  }

  #next(): ArrayBuffer {
    const [length = Number.NaN] = new Float64Array(this.buffer, this.#at, 1)
    const from = this.#at + Float64Array.BYTES_PER_ELEMENT
    if (!(from + length <= this.buffer.byteLength)) throw new Error('Expected a further column')
    this.#at = from + length + paddingOf(length)
    return this.buffer.slice(from, from + length)
  }
}

const paddingOf = (bytes: number): number => -bytes & (Float64Array.BYTES_PER_ELEMENT - 1)
