import { grown } from './typed-arrays.js'

const BITS = 32 // in one word

/** A set of small integers, stored as one bit each. */
export class Bitmap {
  #words = new Uint32Array(0)

  /** Returns the indexes in `values` whose value is a member. Negative values are never members. */
  placesIn(values: Int32Array): Bitmap {
    const words = this.#words
    const places = new Uint32Array(Math.ceil(values.length / BITS))
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      if (value < 0 || value >>> 5 >= words.length) continue
      const bit = ((words[value >>> 5] as number) >>> (value & 31)) & 1
      places[i >>> 5] = (places[i >>> 5] as number) | (bit << (i & 31))
    }
    const result = new Bitmap()
    result.#words = places
    return result
  }

  has(i: number): boolean {
    return (((this.#words[i >>> 5] ?? 0) >>> (i & 31)) & 1) === 1
  }

  add(i: number): void {
    const word = i >>> 5
    this.#words = grown(this.#words, word + 1)
    this.#words[word] = (this.#words[word] as number) | (1 << (i & 31))
  }

  delete(i: number): void {
    const word = i >>> 5
    if (word < this.#words.length)
      this.#words[word] = (this.#words[word] as number) & ~(1 << (i & 31))
  }

  /** The number of members. */
  get size(): number {
    let size = 0
    for (const word of this.#words) size += bitsOf(word)
    return size
  }

  /** Yields the members in ascending order. */
  *[Symbol.iterator](): Generator<number> {
    for (let word = 0; word < this.#words.length; word++) {
      for (let rest = this.#words[word] as number; rest !== 0; rest &= rest - 1) {
        yield word * BITS + (BITS - 1 - Math.clz32(rest & -rest))
      }
    }
  }

  clone(): Bitmap {
    const clone = new Bitmap()
    clone.#words = this.#words.slice()
    return clone
  }

  /** Returns the members of both. */
  and(other: Bitmap): Bitmap {
    return this.#combined(other, (a, b) => a & b)
  }

  /** Returns the members of either. */
  or(other: Bitmap): Bitmap {
    return this.#combined(other, (a, b) => a | b)
  }

  /** Returns the members that the other lacks. */
  without(other: Bitmap): Bitmap {
    return this.#combined(other, (a, b) => a & ~b)
  }

  #combined(other: Bitmap, combine: (a: number, b: number) => number): Bitmap {
    const [a, b] = [this.#words, other.#words]
    const result = new Bitmap()
    result.#words = new Uint32Array(Math.max(a.length, b.length))
    for (let i = 0; i < result.#words.length; i++) {
      result.#words[i] = combine(a[i] ?? 0, b[i] ?? 0)
    }
    return result
  }
}

function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
