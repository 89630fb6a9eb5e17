import { statfs } from 'node:fs/promises'
import { AppError } from '../errors.js'

/** Share of a disk, and bytes, of which the smaller stays free for the catalogue and the index. */
const KEPT_SHARE = 0.05
const KEPT_BYTES = 256 * 1024 ** 2
const CHECK_BYTES = 16 * 1024 ** 2

export interface Reservation extends Disposable {
  /** Counts bytes that were written. Throws DISK_FULL where they are more than the disk has room for. */
  grow(bytes: number): Promise<void>
}

/** Lets files be written to a disk only as far as some of it stays free. */
export class DiskBudget {
  #reserved = 0

  constructor(private readonly dir: string) {}

  /** Reserves room for what is about to be written. Throws DISK_FULL. */
  async reserve(announced: number): Promise<Reservation> {
    await this.expectRoom(announced)
    let left = announced // reserved and not yet written
    let unchecked = 0
    this.#reserved += announced
    const use = (bytes: number) => {
      const used = Math.min(left, bytes)
      left -= used
      this.#reserved -= used
    }
    return {
      grow: async (bytes) => {
        unchecked += Math.max(0, bytes - left)
        use(bytes)
        if (unchecked < CHECK_BYTES) return
        unchecked = 0
        await this.expectRoom(0)
      },
      [Symbol.dispose]: () => use(left),
    }
  }

  /** Throws DISK_FULL if there is no room for so many bytes. */
  async expectRoom(bytes: number): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.dir)
    const kept = Math.min(KEPT_BYTES, KEPT_SHARE * blocks * bsize)
    if (bavail * bsize - this.#reserved - bytes >= kept) return
    const detail =
      'There is not enough room on the disk of the library for this upload: make room first.'
    throw new AppError('DISK_FULL', detail)
  }
}
