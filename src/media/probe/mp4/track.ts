import { aacChannels } from './aac.js'
import { type Box, boxesByType, boxesIn } from './boxes.js'
import { parseAvcC } from './h264.js'

/** An H.264 or AAC-LC track of an MP4 file. */
export type Mp4Track = Mp4Audio | Mp4Video

interface Mp4Times {
  readonly startsAt: number // seconds, by the clock of the file
  readonly seconds: number
  readonly samples: number // packets
  readonly isDefault: boolean
  readonly isEven: boolean // packets are contiguous and equally long
}

/** An AAC-LC track. */
export interface Mp4Audio extends Mp4Times {
  readonly type: 'soun'
  readonly channels: number
}

/** An H.264 track of 8 bits without HDR. */
export interface Mp4Video extends Mp4Times {
  readonly type: 'vide'
  readonly width: number
  readonly height: number
}

const HDR_TRANSFERS = [16, 18] // PQ and HLG by number of ITU-T H.273
const EMPTY_EDIT = -1
const UNKNOWN_DURATION = 2 ** 32 - 1 // ticks
const NORMAL_RATE = 0x10000

/**
 * Parses a `trak` box of H.264 or AAC-LC that plays in one piece. Returns null for any other.
 * Throws RangeError if a box does not fit.
 */
export function parseTrack({ body }: Box, movieTimescale: number): Mp4Track | null {
  const track = boxesByType(body)
  const media = boxesByType(track.mdia)
  const information = boxesByType(media.minf)
  const table = boxesByType(information.stbl)
  const type = media.hdlr?.toString('latin1', 8, 12)
  if (!track.tkhd || !media.mdhd || !table.stsd || !table.stts || !table.stsz || track.tref)
    return null
  if (!isSelfContained(information.dinf)) return null

  const { timescale, duration } = parseTimes(media.mdhd)
  const edit = parseEdit(track.edts, table.ctts !== undefined)
  const samples = table.stsz.readUInt32BE(8)
  if (edit === null || samples === 0) return null
  const toTicks = (movieTicks: number) => Math.round((movieTicks * timescale) / movieTimescale)
  const startsAt = toTicks(edit.delay) / timescale
  const ticks = Math.min(duration, samplesDuration(table.stts), toTicks(edit.duration))
  const seconds = ticks / timescale
  const isDefault = (track.tkhd.readUInt8(3) & 1) === 1
  const times = { startsAt, seconds, samples, isDefault, isEven: isEven(table.stts) }

  const entry = onlyEntry(table.stsd)
  if (type === 'vide' && entry?.type === 'avc1') return parseVideoEntry(entry.body, times)
  if (type === 'soun' && entry?.type === 'mp4a') return parseAudioEntry(entry.body, times)
  return null
}

/**
 * Parses the timescale (ticks per second) and the duration (ticks) of an `mvhd` or `mdhd` box.
 * Throws RangeError if the duration is unknown.
 */
export function parseTimes(header: Buffer): {
  readonly timescale: number
  readonly duration: number
} {
  const isLong = header.readUInt8(0) === 1
  const timescale = header.readUInt32BE(isLong ? 20 : 12)
  const duration = isLong ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16)
  if (timescale === 0 || duration === 0 || duration >= UNKNOWN_DURATION)
    throw new RangeError(`Expected a known duration, got ${duration} ticks of 1/${timescale} s`)
  return { timescale, duration }
}

/** Returns whether the one data reference is to the file itself. */
function isSelfContained(dinf: Buffer | undefined): boolean {
  const { dref } = boxesByType(dinf)
  const [reference] = dref ? boxesIn(dref, 8) : []
  return (
    dref?.readUInt32BE(4) === 1 &&
    reference !== undefined &&
    (reference.body.readUInt8(3) & 1) === 1
  )
}

interface Edit {
  readonly delay: number // duration of an empty edit before, in ticks of the movie
  readonly duration: number // ticks of the movie
}

/**
 * Returns the one edit of a track, or all of it if it has none and its packets are in presentation
 * order. Returns null for any other edit list.
 */
function parseEdit(edts: Buffer | undefined, isReordered: boolean): Edit | null {
  const { elst } = boxesByType(edts)
  if (!elst) return isReordered ? null : { delay: 0, duration: Infinity }
  const edits = parseEdits(elst)
  const [first] = edits
  const delay = first?.from === EMPTY_EDIT ? first.duration : 0
  const [shown, another] = delay > 0 ? edits.slice(1) : edits
  const isPlain = shown && !another && shown.from >= 0 && shown.duration > 0
  return isPlain ? { delay, duration: shown.duration } : null
}

/**
 * Returns the start of each edit in ticks of the track, and its duration in ticks of the movie.
 * Returns none if one plays at another rate.
 */
function parseEdits(elst: Buffer): { readonly from: number; readonly duration: number }[] {
  const isLong = elst.readUInt8(0) === 1
  const edits = []
  for (let i = 0; i < elst.readUInt32BE(4); i++) {
    const entry = elst.subarray(8 + i * (isLong ? 20 : 12))
    const duration = isLong ? Number(entry.readBigUInt64BE(0)) : entry.readUInt32BE(0)
    const from = isLong ? Number(entry.readBigInt64BE(8)) : entry.readInt32BE(4)
    if (entry.readUInt32BE(isLong ? 16 : 8) !== NORMAL_RATE) return []
    edits.push({ from, duration })
  }
  return edits
}

/** Returns the duration of all samples, in ticks. */
function samplesDuration(stts: Buffer): number {
  const entries = stts.readUInt32BE(4)
  let sum = 0
  for (let i = 0; i < entries; i++)
    sum += stts.readUInt32BE(8 + 8 * i) * stts.readUInt32BE(12 + 8 * i)
  return sum
}

/** Returns whether all samples but the last are equally long, and the last is not longer. */
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

function parseVideoEntry(entry: Buffer, times: Mp4Times): Mp4Video | null {
  const { avcC, colr } = boxesByType(entry.subarray(78))
  const stream = avcC ? parseAvcC(avcC) : null
  const transfers = [stream?.transfer, colr?.readUInt16BE(6)]
  if (!stream || transfers.some((transfer) => HDR_TRANSFERS.includes(transfer ?? 0))) return null
  return { type: 'vide', ...times, width: stream.width, height: stream.height }
}

function parseAudioEntry(entry: Buffer, times: Mp4Times): Mp4Audio | null {
  if (entry.readUInt16BE(8) !== 0) return null // versions of QuickTime
  const { esds } = boxesByType(entry.subarray(28))
  const channels = esds ? aacChannels(esds) : null
  return channels === null ? null : { type: 'soun', ...times, channels }
}
