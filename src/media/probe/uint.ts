/**
 * Encodes an unsigned integer in 1 to 6 bytes, big-endian. Throws RangeError if it does not fit.
 */
export function uintBE(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

/**
 * Encodes an unsigned integer in 1 to 6 bytes, little-endian. Throws RangeError if it does not fit.
 */
export function uintLE(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, bytes)
  return buffer
}
