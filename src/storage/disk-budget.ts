import { statfs } from 'node:fs/promises'
import { AppError } from '../errors.js'

/**
 * The space that stays free for the catalogue and the index. The smaller of the two values applies.
 */
const KEPT_SHARE = 0.05
const KEPT_BYTES = 256 * 1024 ** 2
const CHECK_BYTES = 16 * 1024 ** 2

/** Reserved disk space. Disposal releases the unused part. */
export interface Reservation extends Disposable {
  /** Counts written bytes. Throws DISK_FULL if the disk has no room for them. */
  grow(bytes: number): Promise<void>
}

/** Limits writes to a disk so that a part of it stays free. */
export class DiskBudget {
  #reserved = 0

  constructor(private readonly dir: string) {}

  /** Reserves space for a write of `announced` bytes. Throws DISK_FULL. */
  async reserve(announced: number): Promise<Reservation> {
    await this.expectRoom(announced)
    let left = announced // reserved, not yet written
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

  /** Throws DISK_FULL if the disk has no room for `bytes` more bytes. */
  async expectRoom(bytes: number): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.dir)
    const kept = Math.min(KEPT_BYTES, KEPT_SHARE * blocks * bsize)
    if (bavail * bsize - this.#reserved - bytes >= kept) return
    const detail =
      'The disk of the library does not have enough free space for this upload. ' +
      'Free some space first.'
    throw new AppError('DISK_FULL', detail)
  }
}
