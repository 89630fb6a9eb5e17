import { Bits } from './bits.js'

export interface H264 {
  readonly width: number
  readonly height: number
  readonly transfer: number | null // as ITU-T H.273 numbers them
}

const BASELINE = 66
const MAIN = 77
const HIGH = 100
const ANY_SHAPE = 255 // of a pixel: written out

/** What the first parameter set of an `avcC` says; null for more than 8 bits, other chroma than 4:2:0, and rarer things. */
export function h264(configuration: Buffer): H264 | null {
  const length = configuration.readUInt16BE(6)
  return (configuration.readUInt8(5) & 31) === 1
    ? parameters(unescaped(configuration.subarray(8, 8 + length)))
    : null
}

/** Three bytes 0 0 3 stand for two zeros. */
function unescaped(unit: Buffer): Buffer {
  return Buffer.from(
    unit.filter((byte, i) => !(byte === 3 && unit[i - 1] === 0 && unit[i - 2] === 0)),
  )
}

function parameters(unit: Buffer): H264 | null {
  const bits = new Bits(unit.subarray(4))
  const profile = unit.readUInt8(1)
  bits.golomb() // id
  if (profile === HIGH) {
    const chroma = bits.golomb()
    const depths = bits.golomb() + bits.golomb()
    bits.flag() // lossless
    if (chroma !== 1 || depths > 0 || bits.flag()) return null // the last: scaling lists
  } else if (profile !== BASELINE && profile !== MAIN) return null
  bits.golomb() // length of frame numbers
  const order = bits.golomb()
  if (order === 0) bits.golomb()
  else if (order !== 2) return null
  bits.golomb() // reference frames
  bits.flag() // gaps in frame numbers
  const across = bits.golomb() + 1
  const down = bits.golomb() + 1
  const isProgressive = bits.flag()
  if (!isProgressive) bits.flag() // fields by macroblock
  bits.flag() // direct inference
  const fields = isProgressive ? 1 : 2
  const [left, right, top, bottom] = bits.flag() ? golombs(bits, 4) : [0, 0, 0, 0]
  return {
    width: 16 * across - 2 * (left + right),
    height: fields * (16 * down - 2 * (top + bottom)),
    transfer: bits.flag() ? transfer(bits) : null,
  }
}

/** Of the usability information. */
function transfer(bits: Bits): number | null {
  if (bits.flag() && bits.take(8) === ANY_SHAPE) bits.take(32)
  if (bits.flag()) bits.flag() // overscan
  const hasSignal = bits.flag()
  if (hasSignal) bits.take(4) // format and range
  if (!hasSignal || !bits.flag()) return null
  bits.take(8) // primaries
  return bits.take(8)
}

function golombs(bits: Bits, count: 4): [number, number, number, number] {
  return Array.from({ length: count }, () => bits.golomb()) as [number, number, number, number]
}
