import { aacChannels } from './aac.js'
import { type Box, boxesIn } from './boxes.js'
import { h264 } from './h264.js'

export type Mp4Track = Mp4Audio | Mp4Video

interface Mp4Times {
  readonly startsAt: number // seconds, in the clock of the file
  readonly seconds: number
  readonly samples: number // packets
  readonly isDefault: boolean
  readonly isEven: boolean // packets follow one another at equal distances
}

export interface Mp4Audio extends Mp4Times {
  readonly type: 'soun'
  readonly channels: number
}

export interface Mp4Video extends Mp4Times {
  readonly type: 'vide'
  readonly width: number
  readonly height: number
}

const HDR = [16, 18] // PQ and HLG, as ITU-T H.273 numbers them
const EMPTY = -1
const UNKNOWN = 2 ** 32 - 1 // ticks
const NORMAL_SPEED = 0x10000

/** A track of H.264 or AAC-LC that is shown in one piece; null for any other. */
export function trackOf({ body }: Box, movieScale: number): Mp4Track | null {
  const parts = named(body)
  const media = named(parts.mdia)
  const information = named(media.minf)
  const table = named(information.stbl)
  const type = media.hdlr?.toString('latin1', 8, 12)
  if (!parts.tkhd || !media.mdhd || !table.stsd || !table.stts || !table.stsz || parts.tref)
    return null
  if (!isSelfContained(information.dinf)) return null

  const { scale, duration } = clock(media.mdhd)
  const edit = editOf(parts.edts, table.ctts !== undefined)
  const samples = table.stsz.readUInt32BE(8)
  if (edit === null || samples === 0) return null
  const inTicks = (ofMovie: number) => Math.round((ofMovie * scale) / movieScale)
  const startsAt = inTicks(edit.after) / scale
  const seconds = Math.min(duration, ticks(table.stts), inTicks(edit.duration)) / scale
  const isDefault = (parts.tkhd.readUInt8(3) & 1) === 1
  const times = { startsAt, seconds, samples, isDefault, isEven: isEven(table.stts) }

  const entry = onlyEntry(table.stsd)
  if (type === 'vide' && entry?.type === 'avc1') return videoEntry(entry.body, times)
  if (type === 'soun' && entry?.type === 'mp4a') return audioEntry(entry.body, times)
  return null
}

/** Ticks a second, and ticks. RangeError where a length is not known. */
export function clock(header: Buffer): { readonly scale: number; readonly duration: number } {
  const isLong = header.readUInt8(0) === 1
  const scale = header.readUInt32BE(isLong ? 20 : 12)
  const duration = isLong ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16)
  if (scale === 0 || duration === 0 || duration >= UNKNOWN)
    throw new RangeError(`${duration} ticks of 1/${scale} s`)
  return { scale, duration }
}

const named = (body: Buffer | undefined): Partial<Record<string, Buffer>> =>
  Object.fromEntries((body ? boxesIn(body) : []).map(({ type, body }) => [type, body]))

function isSelfContained(dinf: Buffer | undefined): boolean {
  const { dref } = named(dinf)
  const [reference] = dref ? boxesIn(dref, 8) : []
  return (
    dref?.readUInt32BE(4) === 1 &&
    reference !== undefined &&
    (reference.body.readUInt8(3) & 1) === 1
  )
}

interface Edit {
  readonly after: number // an empty edit, in the movie's ticks
  readonly duration: number
}

/** What is shown of a track: one piece, or all where it has no edits and its packets are in the order of their time. */
function editOf(edts: Buffer | undefined, isReordered: boolean): Edit | null {
  const { elst } = named(edts)
  if (!elst) return isReordered ? null : { after: 0, duration: Infinity }
  const edits = editsIn(elst)
  const [first] = edits
  const after = first?.from === EMPTY ? first.duration : 0
  const [shown, another] = after > 0 ? edits.slice(1) : edits
  const isPlain = shown && !another && shown.from >= 0 && shown.duration > 0
  return isPlain ? { after, duration: shown.duration } : null
}

/** Where each begins in the track's ticks, and its length in the movie's. None where one plays at another speed. */
function editsIn(elst: Buffer): { readonly from: number; readonly duration: number }[] {
  const isLong = elst.readUInt8(0) === 1
  const edits = []
  for (let i = 0; i < elst.readUInt32BE(4); i++) {
    const entry = elst.subarray(8 + i * (isLong ? 20 : 12))
    const duration = isLong ? Number(entry.readBigUInt64BE(0)) : entry.readUInt32BE(0)
    const from = isLong ? Number(entry.readBigInt64BE(8)) : entry.readInt32BE(4)
    if (entry.readUInt32BE(isLong ? 16 : 8) !== NORMAL_SPEED) return []
    edits.push({ from, duration })
  }
  return edits
}

/** The length of all samples, in ticks. */
function ticks(stts: Buffer): number {
  const entries = stts.readUInt32BE(4)
  let sum = 0
  for (let i = 0; i < entries; i++)
    sum += stts.readUInt32BE(8 + 8 * i) * stts.readUInt32BE(12 + 8 * i)
  return sum
}

/** Whether all samples are equally long, but for the last. */
function isEven(stts: Buffer): boolean {
  const entries = stts.readUInt32BE(4)
  return (
    entries === 1 ||
    (entries === 2 && stts.readUInt32BE(16) === 1 && stts.readUInt32BE(20) <= stts.readUInt32BE(12))
  )
}

function onlyEntry(stsd: Buffer): Box | undefined {
  return stsd.readUInt32BE(4) === 1 ? boxesIn(stsd, 8)[0] : undefined
}

function videoEntry(entry: Buffer, times: Mp4Times): Mp4Video | null {
  const { avcC, colr } = named(entry.subarray(78))
  const stream = avcC ? h264(avcC) : null
  const transfers = [stream?.transfer, colr?.readUInt16BE(6)]
  if (!stream || transfers.some((transfer) => HDR.includes(transfer ?? 0))) return null
  return { type: 'vide', ...times, width: stream.width, height: stream.height }
}

function audioEntry(entry: Buffer, times: Mp4Times): Mp4Audio | null {
  if (entry.readUInt16BE(8) !== 0) return null // QuickTime's own versions
  const { esds } = named(entry.subarray(28))
  const channels = esds ? aacChannels(esds) : null
  return channels === null ? null : { type: 'soun', ...times, channels }
}
