import { Bits } from './bits.js'

/** The fields of an H.264 sequence parameter set that a header needs (ITU-T H.264, 7.3.2.1). */
interface H264Parameters {
  readonly width: number // pixels, after cropping
  readonly height: number
  readonly transfer: number | null // number of ITU-T H.273
}

const PARAMETER_SET_COUNT_MASK = 31
const BASELINE = 66
const MAIN = 77
const HIGH = 100
const EXTENDED_ASPECT_RATIO = 255 // width and height of a pixel follow, 16 bits each

/**
 * Parses the parameter set of an `avcC` box. Returns null if there are several, and for more than 8
 * bits, other chroma than 4:2:0, and rarer features.
 */
export function parseAvcC(configuration: Buffer): H264Parameters | null {
  const length = configuration.readUInt16BE(6)
  return (configuration.readUInt8(5) & PARAMETER_SET_COUNT_MASK) === 1
    ? parseParameterSet(removeEscapes(configuration.subarray(8, 8 + length)))
    : null
}

/** Removes the 3 that escapes two zero bytes. */
function removeEscapes(unit: Buffer): Buffer {
  return Buffer.from(
    unit.filter((byte, i) => !(byte === 3 && unit[i - 1] === 0 && unit[i - 2] === 0)),
  )
}

function parseParameterSet(unit: Buffer): H264Parameters | null {
  const bits = new Bits(unit.subarray(4))
  const profile = unit.readUInt8(1)
  bits.golomb() // id
  if (profile === HIGH) {
    const chroma = bits.golomb()
    const extraDepths = bits.golomb() + bits.golomb()
    bits.flag() // lossless
    if (chroma !== 1 || extraDepths > 0 || bits.flag()) return null // the flag: scaling lists
  } else if (profile !== BASELINE && profile !== MAIN) return null
  bits.golomb() // length of frame numbers
  const orderType = bits.golomb()
  if (orderType === 0) bits.golomb()
  else if (orderType !== 2) return null
  bits.golomb() // reference frames
  bits.flag() // gaps in frame numbers
  const columns = bits.golomb() + 1 // macroblocks
  const rows = bits.golomb() + 1
  const isProgressive = bits.flag()
  if (!isProgressive) bits.flag() // fields by macroblock
  bits.flag() // direct inference
  const fields = isProgressive ? 1 : 2
  const [left, right, top, bottom] = bits.flag() ? takeCropping(bits) : [0, 0, 0, 0]
  return {
    width: 16 * columns - 2 * (left + right),
    height: fields * (16 * rows - 2 * (top + bottom)),
    transfer: bits.flag() ? takeTransfer(bits) : null,
  }
}

/** Reads the usability information up to the transfer function. */
function takeTransfer(bits: Bits): number | null {
  if (bits.flag() && bits.take(8) === EXTENDED_ASPECT_RATIO) bits.take(32)
  if (bits.flag()) bits.flag() // overscan
  const hasSignalType = bits.flag()
  if (hasSignalType) bits.take(4) // format and range
  if (!hasSignalType || !bits.flag()) return null
  bits.take(8) // primaries
  return bits.take(8)
}

function takeCropping(bits: Bits): [number, number, number, number] {
  return [bits.golomb(), bits.golomb(), bits.golomb(), bits.golomb()]
}
