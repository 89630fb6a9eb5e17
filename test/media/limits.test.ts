import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { openMedia } from '../../src/media/media.js'
import { uintBE, uintLE } from '../../src/media/probe/uint.js'
import { DecoderPool } from '../../src/media/process/decoder-pool.js'
import { FfmpegProcess } from '../../src/media/process/ffmpeg-process.js'
import { OpenedFile } from '../../src/storage/opened-file.js'
import { opened } from '../opened.js'
import { FORMAT, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const MIB = 1024 ** 2

const process = (script: string, limits: { memoryBytes: number; cpuSeconds: number | null }) =>
  FfmpegProcess.start('/bin/sh', ['-c', script], { limits, stallMs: 20_000, onLine: () => {} })

describe('a decoder process', () => {
  it('is killed when it exceeds its processor time', async () => {
    await using child = await process('while :; do :; done', {
      memoryBytes: MIB * 256,
      cpuSeconds: 1,
    })

    await assert.rejects(child.exitCode(), {
      code: 'MEDIA_TOO_LARGE',
      message: /1 s of processor time/,
    })
  })

  it('cannot allocate more memory than its limit', { skip: skipUnlessLinux() }, async () => {
    const take = 'python3 -c "bytearray(400 * 1024 * 1024)"'
    await using small = await process(take, { memoryBytes: MIB * 200, cpuSeconds: null })
    await using large = await process(take, { memoryBytes: MIB * 1000, cpuSeconds: null })

    assert.notEqual(await small.exitCode(), 0)
    assert.equal(await large.exitCode(), 0)
  })
})

describe('the pool of decoders', () => {
  it('raises the memory limit for a large image, and lets others wait for it', async () => {
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

  it('rejects an image that needs more memory than any decoder may use', async () => {
    const path = join(folder, 'huge.png')
    await writeFile(path, flatPng(24_000, 1))
    const pool = new DecoderPool(1)
    using slot = await pool.enter('query')
    const media = await openMedia(await opened(path), FORMAT, { slot })

    await assert.rejects(media.segments().next(), { code: 'MEDIA_TOO_LARGE' })
  })

  it('rejects an animation of too many pixels before decoding', async () => {
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

/** Returns an animated WebP that repeats a still one. */
function repeated(still: Buffer, side: number, frames: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const size = uintLE(data.length, 4)
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

/** Returns a PNG that is half black, half white. The file is small for any size of the image. */
function flatPng(side: number, bitDepth: 1 | 8): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const named = Buffer.concat([Buffer.from(name), data])
    return Buffer.concat([uintBE(data.length, 4), named, uintBE(crc32(named), 4)])
  }
  const row = Buffer.alloc(1 + (bitDepth * side) / 8).fill(255, 1, (bitDepth * side) / 16)
  const head = Buffer.concat([uintBE(side, 4), uintBE(side, 4), Buffer.of(bitDepth, 0, 0, 0, 0)])
  const body = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)), { level: 1 })
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', body),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function skipUnlessLinux(): string | false {
  return globalThis.process.platform === 'linux'
    ? false
    : 'only Linux limits the memory of a process'
}
