import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { openMedia } from '../../src/media/media.js'
import { DecoderPool } from '../../src/media/process/decoder-pool.js'
import { FfmpegProcess } from '../../src/media/process/ffmpeg-process.js'
import { OpenedFile } from '../../src/storage/opened-file.js'
import { opened } from '../opened.js'
import { FORMAT, make, temporaryFolder } from './made.js'

const folder = temporaryFolder()
const MIB = 1024 ** 2

const process = (script: string, limits: { memoryBytes: number; cpuSeconds: number | null }) =>
  FfmpegProcess.start('/bin/sh', ['-c', script], { limits, stallMs: 20_000, onLine: () => {} })

describe('a decoder process', () => {
  it('is ended when it has used up its processor time, by name', async () => {
    await using child = await process('while :; do :; done', {
      memoryBytes: MIB * 256,
      cpuSeconds: 1,
    })

    await assert.rejects(child.exitCode(), {
      code: 'MEDIA_TOO_LARGE',
      message: /1 s of processor time/,
    })
  })

  it('gets no more memory than it may have', { skip: skipUnlessLinux() }, async () => {
    const take = 'python3 -c "bytearray(400 * 1024 * 1024)"'
    await using small = await process(take, { memoryBytes: MIB * 200, cpuSeconds: null })
    await using large = await process(take, { memoryBytes: MIB * 1000, cpuSeconds: null })

    assert.notEqual(await small.exitCode(), 0)
    assert.equal(await large.exitCode(), 0)
  })
})

describe('the budget of decoders', () => {
  it('gives a large picture memory of its own, and takes no more than that', async () => {
    const path = join(folder, 'large.png')
    await writeFile(path, flatPng(8000, 8))
    const pool = new DecoderPool(1)
    const decode = async () => {
      await using file = await OpenedFile.open(path)
      using slot = await pool.enter('ingest')
      const before = slot.limits.memoryBytes
      const media = await openMedia(file, FORMAT, { slot })
      const frames = []
      for await (const segment of media.segments()) frames.push(...segment.frames)
      return { frames: frames.length, grown: slot.limits.memoryBytes > before }
    }

    const decoded = await Promise.all(Array.from({ length: 4 }, decode))

    assert.deepEqual(decoded, Array(4).fill({ frames: 1, grown: true }))
  })

  it('refuses a picture for which no decoder may have memory enough', async () => {
    const path = join(folder, 'huge.png')
    await writeFile(path, flatPng(24_000, 1))
    const pool = new DecoderPool(1)
    using slot = await pool.enter('query')
    const media = await openMedia(await opened(path), FORMAT, { slot })

    await assert.rejects(media.segments().next(), { code: 'MEDIA_TOO_LARGE' })
  })

  it('refuses an animation of too many pixels before it decodes one', async () => {
    const side = 4000
    const still = await make(
      join(folder, 'still.webp'),
      [`color=red:s=${side}x${side}:d=0.1`],
      ['-frames:v', '1'],
    )
    const path = join(folder, 'long.webp')
    await writeFile(path, repeated(await readFile(still), side, 70))

    await assert.rejects(openMedia(await opened(path), FORMAT), { code: 'MEDIA_TOO_LARGE' })
  })
})

/** An animated WebP that shows the picture of a still one again and again. */
function repeated(still: Buffer, side: number, frames: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(data.length)
    return Buffer.concat([Buffer.from(name), size, data, Buffer.alloc(data.length % 2)])
  }
  const header = Buffer.alloc(10)
  header[0] = 0x02 // animated
  header.writeUIntLE(side - 1, 4, 3)
  header.writeUIntLE(side - 1, 7, 3)
  const place = Buffer.alloc(16)
  place.writeUIntLE(side - 1, 6, 3)
  place.writeUIntLE(side - 1, 9, 3)
  place.writeUIntLE(40, 12, 3) // ms
  const frame = chunk('ANMF', Buffer.concat([place, still.subarray(12)]))
  const body = [
    chunk('VP8X', header),
    chunk('ANIM', Buffer.alloc(6)),
    ...Array.from({ length: frames }, () => frame),
  ]
  return chunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...body]))
}

/** A PNG of a half in grey, which is small however large its picture is. */
function flatPng(side: number, bitDepth: 1 | 8): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const named = Buffer.concat([Buffer.from(name), data])
    return Buffer.concat([uint32(data.length), named, uint32(crc32(named))])
  }
  const row = Buffer.alloc(1 + (bitDepth * side) / 8).fill(255, 1, (bitDepth * side) / 16)
  const head = Buffer.concat([uint32(side), uint32(side), Buffer.of(bitDepth, 0, 0, 0, 0)])
  const body = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)), { level: 1 })
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', body),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function skipUnlessLinux(): string | false {
  return globalThis.process.platform === 'linux'
    ? false
    : 'only Linux limits the memory of a process'
}
