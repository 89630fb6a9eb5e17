import { Bits } from './bits.js'

const ES = 3
const DECODER = 4
const SPECIFIC = 5
const MPEG4_AUDIO = 0x40
const LOW_COMPLEXITY = 2
const INDEX_OF_32_KHZ = 5 // rates are listed from the highest down
const EXTENSION = 0x2b7
const BAND_REPLICATION = 5

/** Channels of an `esds` of AAC-LC; null for what else it may hold. */
export function aacChannels(esds: Buffer): number | null {
  const stream = descriptor(esds.subarray(4), ES)
  if (stream?.readUInt8(2) !== 0) return null // no further fields
  const decoder = descriptor(stream.subarray(3), DECODER)
  if (decoder?.readUInt8(0) !== MPEG4_AUDIO) return null
  const specific = descriptor(decoder.subarray(13), SPECIFIC)
  if (!specific) return null
  const bits = new Bits(specific)
  if (bits.take(5) !== LOW_COMPLEXITY) return null
  const rate = bits.take(4)
  const layout = bits.take(4)
  if (layout < 1 || layout > 7) return null
  if (layout === 1 && rate > INDEX_OF_32_KHZ && !deniesReplication(bits)) return null
  return layout === 7 ? 8 : layout
}

/** One channel at a low rate may hold two by parametric stereo, which only decoding tells: unless this is said of it. */
function deniesReplication(bits: Bits): boolean {
  return (
    bits.take(3) === 0 &&
    bits.take(11) === EXTENSION &&
    bits.take(5) === BAND_REPLICATION &&
    !bits.flag()
  )
}

/** The body of a descriptor that is expected in front. */
function descriptor(buffer: Buffer, tag: number): Buffer | null {
  if (buffer.readUInt8(0) !== tag) return null
  let length = 0
  for (let at = 1; at < 5; at++) {
    const byte = buffer.readUInt8(at)
    length = length * 128 + (byte & 127)
    if (byte < 128) return buffer.subarray(at + 1, at + 1 + length)
  }
  return null
}
