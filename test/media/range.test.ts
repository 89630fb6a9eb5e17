import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ffmpegSeconds } from '../../src/media/ffmpeg-seconds.js'
import { decode, FORMAT, make, temporaryFolder } from './made.js'

const folder = temporaryFolder()
const SOUND = 'sine=f=500:r=16000:d=4'
const PICTURE = 'testsrc2=s=64x64:r=10:d=4'
const MKV = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'pcm_s16le']

describe('a range that begins at a tiny fraction of a second', { concurrency: 2 }, () => {
  it('is given to ffmpeg as a plain decimal', () => {
    const texts = [1e-9, 0.1 + 0.2, 86_400].map(ffmpegSeconds)

    assert.deepEqual(texts, ['0.000000', '0.300000', '86400.000000'])
  })

  it('is decoded from the beginning', async () => {
    for (const [name, output] of [
      ['tiny.mkv', MKV],
      ['tiny.ts', ['-c:v', 'mpeg2video', '-c:a', 'mp2']],
    ] as const) {
      const path = await make(join(folder, name), [PICTURE, SOUND], output)

      const { segments } = await decode(path, FORMAT, { range: { start: 1e-9, end: 2 } })

      const shape = segments.map(({ samples, frames }) => [samples?.length, frames.length])
      assert.deepEqual(shape, [[32_000, 10]], name)
    }
  })
})
