/** Reads bits from the front. RangeError beyond the end. */
export class Bits {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  /** An unsigned number of at most 32 bits. */
  take(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) {
      const bit = (this.bytes.readUInt8(this.#at >> 3) >> (7 - (this.#at & 7))) & 1
      value = value * 2 + bit
      this.#at++
    }
    return value
  }

  flag(): boolean {
    return this.take(1) === 1
  }

  /** An Exp-Golomb code, unsigned. */
  golomb(): number {
    let zeros = 0
    while (!this.flag()) if (++zeros > 31) throw new RangeError('Expected an Exp-Golomb code')
    return 2 ** zeros - 1 + this.take(zeros)
  }
}
