/** Reads bits from the front of a buffer. Throws RangeError past the end. */
export class Bits {
  #position = 0 // in bits

  constructor(private readonly bytes: Buffer) {}

  /** Reads an unsigned integer of at most 32 bits. */
  take(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) {
      const byte = this.bytes.readUInt8(this.#position >> 3)
      const bit = (byte >> (7 - (this.#position & 7))) & 1
      value = value * 2 + bit
      this.#position++
    }
    return value
  }

  /** Reads one bit. */
  flag(): boolean {
    return this.take(1) === 1
  }

  /** Reads an unsigned Exp-Golomb code. */
  golomb(): number {
    let zeros = 0
    while (!this.flag())
      if (++zeros > 31) throw new RangeError('Expected an Exp-Golomb code, got 32 zeros')
    return 2 ** zeros - 1 + this.take(zeros)
  }
}
