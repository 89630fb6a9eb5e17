import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { toAppError } from '../errors.js'

const BYTES = 2 ** 20

/** Room kept beside a catalogue, given up when the disk is full so that what is to be said of that can be written. */
export class DiskReserve {
  constructor(private readonly file: string) {}

  /** Takes the room, if there is any. The bytes are random: some disks would keep none for others. */
  fill(): void {
    if (existsSync(this.file)) return
    try {
      writeFileSync(this.file, randomBytes(BYTES))
    } catch {
      this.#giveUp()
    }
  }

  /** Runs what writes little: where the disk is full, in this room. */
  use<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (toAppError(error).code !== 'DISK_FULL') throw error
      this.#giveUp()
      return work()
    }
  }

  #giveUp(): void {
    rmSync(this.file, { force: true })
  }
}
