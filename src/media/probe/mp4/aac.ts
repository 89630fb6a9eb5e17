import { Bits } from './bits.js'

const ES_DESCRIPTOR = 3
const DECODER_CONFIG = 4
const DECODER_SPECIFIC_INFO = 5
const MPEG4_AUDIO = 0x40
const LOW_COMPLEXITY = 2
const INDEX_OF_32_KHZ = 5 // the table of sample rates is descending
const SYNC_EXTENSION = 0x2b7
const SPECTRAL_BAND_REPLICATION = 5

/**
 * Returns the channels of an AAC-LC `esds` box (ISO/IEC 14496-3), or null for any other content.
 */
export function aacChannels(esds: Buffer): number | null {
  const stream = descriptorBody(esds.subarray(4), ES_DESCRIPTOR)
  if (stream?.readUInt8(2) !== 0) return null // flags of optional fields
  const decoder = descriptorBody(stream.subarray(3), DECODER_CONFIG)
  if (decoder?.readUInt8(0) !== MPEG4_AUDIO) return null
  const specific = descriptorBody(decoder.subarray(13), DECODER_SPECIFIC_INFO)
  if (!specific) return null
  const bits = new Bits(specific)
  if (bits.take(5) !== LOW_COMPLEXITY) return null
  const rateIndex = bits.take(4)
  const layout = bits.take(4)
  if (layout < 1 || layout > 7) return null
  if (layout === 1 && rateIndex > INDEX_OF_32_KHZ && !excludesReplication(bits)) return null
  return layout === 7 ? 8 : layout
}

/**
 * Returns whether the header excludes spectral band replication. Without that, one channel at a low
 * rate may be two by parametric stereo, which shows only in decoding.
 */
function excludesReplication(bits: Bits): boolean {
  return (
    bits.take(3) === 0 &&
    bits.take(11) === SYNC_EXTENSION &&
    bits.take(5) === SPECTRAL_BAND_REPLICATION &&
    !bits.flag()
  )
}

/** Returns the body of the descriptor at the start of a buffer, or null if it has another tag. */
function descriptorBody(buffer: Buffer, tag: number): Buffer | null {
  if (buffer.readUInt8(0) !== tag) return null
  let length = 0
  for (let offset = 1; offset < 5; offset++) {
    const byte = buffer.readUInt8(offset)
    length = length * 128 + (byte & 127)
    if (byte < 128) return buffer.subarray(offset + 1, offset + 1 + length)
  }
  return null
}
