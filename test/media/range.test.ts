import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openMedia } from '../../src/media/media.js'
import { ffmpegSeconds } from '../../src/media/process/ffmpeg-seconds.js'
import { opened } from '../opened.js'
import { decode, FORMAT, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const AUDIO = 'sine=f=500:r=16000:d=4'
const VIDEO = 'testsrc2=s=64x64:r=10:d=4'
const MKV = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'pcm_s16le']

describe('a range that begins at a tiny fraction of a second', { concurrency: 2 }, () => {
  it('is passed to ffmpeg as a plain decimal', () => {
    const texts = [1e-9, 0.1 + 0.2, 86_400].map(ffmpegSeconds)

    assert.deepEqual(texts, ['0.000000', '0.300000', '86400.000000'])
  })

  it('is decoded from the start', async () => {
    for (const [name, output] of [
      ['tiny.mkv', MKV],
      ['tiny.ts', ['-c:v', 'mpeg2video', '-c:a', 'mp2']],
    ] as const) {
      const path = await make(join(folder, name), [VIDEO, AUDIO], output)

      const { segments } = await decode(path, FORMAT, { range: { start: 1e-9, end: 2 } })

      const shape = segments.map(({ samples, frames }) => [samples?.length, frames.length])
      assert.deepEqual(shape, [[32_000, 10]], name)
    }
  })
})

describe('a range that begins after the end of a file', { concurrency: 2 }, () => {
  const AFTER = { start: 60, end: 62 }
  const LIVE = ['-f', 'matroska', '-live', '1']

  it('is empty if the file states no length, truncated or complete', async () => {
    const flac = await make(join(folder, 'complete.flac'), [AUDIO])
    const unstated = await rewrite(flac, 'unstated.flac', withoutLength)
    const live = await make(join(folder, 'live.mkv'), [VIDEO, AUDIO], [...MKV, ...LIVE])
    const silent = await make(join(folder, 'silent.mkv'), [VIDEO], [...MKV, ...LIVE])
    const cut = await rewrite(live, 'cut.mkv', (bytes) => bytes.subarray(0, -1500))
    for (const [path, only] of [
      [unstated, undefined],
      [unstated, 'audio'],
      [live, undefined],
      [live, 'audio'],
      [live, 'visual'],
      [silent, undefined],
      [cut, 'audio'],
    ] as const) {
      const message = `${path} ${only}`
      assert.equal((await openMedia(await opened(path), FORMAT)).statedSeconds, null, message)
      const decoding = decode(path, FORMAT, { range: AFTER, only })
      await assert.rejects(decoding, { code: 'RANGE_EMPTY' }, message)
    }
  })

  it('is empty if ffmpeg estimates the length from the first packets', async () => {
    const noise = "aevalsrc='0.8*(random(0)-0.5)*gt(t,3)':d=6:s=44100"
    const whole = await make(join(folder, 'complete.aac'), [noise], ['-b:a', '300k'])
    const cut = await rewrite(whole, 'cut.aac', (bytes) => bytes.subarray(0, -100))
    for (const path of [whole, cut]) {
      const { statedSeconds } = await openMedia(await opened(path), FORMAT)
      assert.ok((statedSeconds ?? 0) > AFTER.start, `${path} states ${statedSeconds} s`)
      for (const only of [undefined, 'audio'] as const) {
        await assert.rejects(decode(path, FORMAT, { range: AFTER, only }), { code: 'RANGE_EMPTY' })
      }
    }
  })

  it('is empty for a modality that the file does not have', async () => {
    const path = await make(join(folder, 'video.mkv'), [VIDEO], [...MKV, ...LIVE])

    const { outcome } = await decode(path, FORMAT, { range: AFTER, only: 'audio' })

    assert.deepEqual(outcome, { seconds: 0, notes: [], audible: false, visible: false })
  })
})

type Change = (bytes: Buffer) => Buffer

async function rewrite(from: string, name: string, change: Change): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, change(await readFile(from)))
  return path
}

/** Clears the number of samples of a FLAC: the last 36 bits before the checksum in its header. */
function withoutLength(flac: Buffer): Buffer {
  flac.writeUInt8(flac.readUInt8(21) & 0xf0, 21)
  return flac.fill(0, 22, 26)
}
