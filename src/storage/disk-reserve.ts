import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { toAppError } from '../errors.js'

const BYTES = 2 ** 20

/**
 * A file that reserves disk space next to a catalogue. If the disk is full, the file is deleted so
 * that small writes succeed.
 */
export class DiskReserve {
  constructor(private readonly file: string) {}

  /**
   * Creates the file if the disk has space. The bytes are random because some file systems allocate
   * no space for other content.
   */
  fill(): void {
    if (existsSync(this.file)) return
    try {
      writeFileSync(this.file, randomBytes(BYTES))
    } catch {
      this.#release()
    }
  }

  /** Runs a small write. If the disk is full, deletes the file and runs the write again. */
  use<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (toAppError(error).code !== 'DISK_FULL') throw error
      this.#release()
      return work()
    }
  }

  #release(): void {
    rmSync(this.file, { force: true })
  }
}
