import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { decode, FORMAT, make, temporaryFolder } from './helpers.js'
import { ffmpeg, huesOf, MPEG2, record, splice, tonesOf } from './recordings.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const H264 = [
  '-c:v',
  'libx264',
  '-preset',
  'ultrafast',
  '-g',
  '25',
  '-bf',
  '2',
  '-pix_fmt',
  'yuv420p',
]
const AAC = ['-c:a', 'aac', '-b:a', '64k']

/** Containers whose clock ffmpeg would correct, and codecs: H.264 and AAC, or MPEG-2. */
const KINDS = { ts: [...H264, ...AAC, '-ac', '2'], mpg: MPEG2, m2ts: MPEG2 } as const

describe('a gap in the clock', { concurrency: 2 }, () => {
  for (const [ending, codecs] of Object.entries(KINDS)) {
    for (const seconds of [18, 40, 606]) {
      it(`keeps the times of ${ending} if the second part begins at ${seconds} s`, async () => {
        const name = `${ending}-${seconds}`
        const red = await record(at(`red-${name}.mkv`), 'red', 6, codecs)
        const blue = await record(at(`blue-${name}.mkv`), 'blue', 6, codecs)
        const parts = [[red, 0] as const, [blue, seconds] as const]
        const path = await splice(
          at(`gap-${name}.${ending}`),
          parts,
          ending === 'mpg' ? ['-f', 'vob'] : [],
        )

        const decoded = await decode(path)

        assert.equal(tonesOf(decoded), `333333${'.'.repeat(seconds - 6)}999999`)
        const hues = huesOf(decoded).join('')
        assert.match(hues, /^R+B+$/)
        assert.ok(Math.abs(hues.indexOf('B') - seconds) <= 1, `blue at ${hues.indexOf('B')} s`)
        assert.ok(
          Math.abs(decoded.outcome.seconds - seconds - 6) < 0.5,
          `${decoded.outcome.seconds} s`,
        )
        assert.deepEqual(decoded.outcome.notes, [])
      })
    }
  }

  it('is kept if the clock wraps around', async () => {
    const red = await record(at('red-wrap.mkv'), 'red', 6, MPEG2)
    const blue = await record(at('blue-wrap.mkv'), 'blue', 6, MPEG2)
    const parts = [[red, 0] as const, [blue, 26] as const]
    const path = await splice(at('wrap.ts'), parts, ['-output_ts_offset', '95430'])

    const decoded = await decode(path)

    assert.equal(tonesOf(decoded), `333333${'.'.repeat(20)}999999`)
    assert.match(huesOf(decoded).join(''), /^R{25,27}B{5,7}$/)
  })

  it('is kept if a range begins in it', async () => {
    const red = await record(at('red-range.mkv'), 'red', 6, MPEG2)
    const blue = await record(at('blue-range.mkv'), 'blue', 6, MPEG2)
    const path = await splice(at('range.ts'), [[red, 0] as const, [blue, 30] as const])

    const decoded = await decode(path, FORMAT, { range: { start: 25, end: 35 } })

    assert.equal(tonesOf(decoded), '.....99999')
    assert.equal(huesOf(decoded).join(''), 'RRRRRBBBBB')
  })
})

describe('a clock that restarts', { concurrency: 2 }, () => {
  for (const [ending, codecs] of Object.entries(KINDS)) {
    const formats = ending === 'mpg' ? ['-f', 'vob'] : []
    it(`joins three recordings in ${ending}`, async () => {
      const parts = []
      for (const colour of ['red', 'lime', 'blue'] as const) {
        parts.push(
          await readFile(
            await record(at(`${colour}-joined.${ending}`), colour, 6, [...codecs, ...formats]),
          ),
        )
      }
      const path = at(`joined.${ending}`)
      await writeFile(path, Buffer.concat(parts))

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded), '333333666666999999')
      assert.match(huesOf(decoded).join(''), /^R{6,7}G{5,7}B{5,7}$/)
      assert.deepEqual(decoded.outcome.notes, [])
    })
  }

  it('joins recordings that begin at any time, in stereo and in mono', async () => {
    const late = await record(at('late-clock.ts'), 'red', 6, [
      ...KINDS.ts,
      '-output_ts_offset',
      '50000',
    ])
    const mono = await record(at('mono-clock.ts'), 'blue', 6, [...H264, ...AAC, '-ac', '1'])
    const path = at('any-time.ts')
    await writeFile(path, Buffer.concat([await readFile(late), await readFile(mono)]))

    const decoded = await decode(path)

    assert.equal(tonesOf(decoded), '333333999999')
    assert.match(huesOf(decoded).join(''), /^R{6,7}B{5,7}$/)
  })
})

describe('a wrong timestamp', () => {
  it('of one packet of a transport stream shifts nothing', async () => {
    const bytes = await readFile(await record(at('steady.ts'), 'red', 12, MPEG2))
    const frames = packetsOf(bytes).filter(
      (packet) => pidOf(packet) === 0x100 && (packet.readUInt8(1) & 0x40) > 0,
    )
    const packet = frames[150] as Buffer
    const header =
      packet.byteOffset - bytes.byteOffset + packet.indexOf(Buffer.from('000001e0', 'hex'))
    // Flips a high bit of the PTS, whose first byte holds the highest: half an hour, and many
    // hours.
    for (const [name, offset, bits] of [
      ['half-hour', 10, 0x08],
      ['hours', 9, 0x04],
    ] as const) {
      const broken = Buffer.from(bytes)
      broken.writeUInt8(broken.readUInt8(header + offset) ^ bits, header + offset)
      const path = at(`${name}.ts`)
      await writeFile(path, broken)

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded), '333333333333', name)
      assert.ok(huesOf(decoded).join('').length >= 12, name)
      assert.ok(
        Math.abs(decoded.outcome.seconds - 12) < 0.2,
        `${name}: ${decoded.outcome.seconds} s`,
      )
    }
  })
})

describe('a long gap in the audio', { concurrency: 2 }, () => {
  const surround = ['-ac', '6', '-c:a', 'ac3']
  const cases = {
    'surround.mkv': [surround, 60],
    'stereo.mp4': [[...AAC, '-ac', '2'], 400],
    'mono.mka': [AAC, 720],
  }
  for (const [name, [codecs, seconds]] of Object.entries(cases) as [string, [string[], number]][]) {
    it(`keeps its length: ${name}`, async () => {
      const red = await record(at(`red-${name}.mkv`), 'red', 4, [...codecs, '-vn'])
      const blue = await record(at(`blue-${name}.mkv`), 'blue', 4, [...codecs, '-vn'])
      const path = await splice(at(name), [[red, 0] as const, [blue, seconds] as const])

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded), `3333${'.'.repeat(seconds - 4)}9999`)
      assert.deepEqual(decoded.outcome.notes, [])
    })
  }

  it('keeps the time of later samples, to a tenth of a second', async () => {
    const gap = "aevalsrc='0.5*sin(2*PI*440*t)':d=4:s=48000,asetpts='if(lt(T,2),PTS,PTS+50.05/TB)'"
    const path = await make(at('exact.mkv'), [gap], ['-c:a', 'flac'])

    const { segments } = await decode(path)

    const samples = segments[5]?.samples as Float32Array
    const start = 50 + samples.findIndex((sample) => Math.abs(sample) > 0.01) / 16_000
    assert.ok(Math.abs(start - 52.05) < 0.1, `${start} s`)
  })
})

describe('a stream that begins late', { concurrency: 2 }, () => {
  for (const ending of ['ts', 'mpg', 'mkv']) {
    const formats = ending === 'mpg' ? ['-f', 'vob'] : []

    it(`is the audio of ${ending}`, async () => {
      const long = await record(at(`audio-late-long-${ending}.mkv`), 'red', 14, MPEG2)
      const short = await record(at(`audio-late-short-${ending}.mkv`), 'red', 6, MPEG2)
      const path = at(`audio-late.${ending}`)
      const inputs = ['-i', long, '-itsoffset', '12', '-i', short]
      await ffmpeg(...inputs, '-map', '0:v', '-map', '1:a', '-c', 'copy', ...formats, path)

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded), '............333333')
      assert.equal(huesOf(decoded)[0], 'RRRRRRRRRR')
      assert.deepEqual(decoded.outcome.notes, [])
    })

    it(`is the video of ${ending}, which has no frames before`, async () => {
      const long = await record(at(`video-late-long-${ending}.mkv`), 'red', 14, MPEG2)
      const short = await record(at(`video-late-short-${ending}.mkv`), 'red', 6, MPEG2)
      const path = at(`video-late.${ending}`)
      const inputs = ['-i', long, '-itsoffset', '12', '-i', short]
      await ffmpeg(...inputs, '-map', '0:a', '-map', '1:v', '-c', 'copy', ...formats, path)

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded).slice(0, 14), '33333333333333')
      assert.equal(huesOf(decoded)[0], '')
      assert.match(huesOf(decoded)[1] ?? '', /^R{6,7}$/)
    })
  }

  it('is missing although a transport stream announces it, or is on the second PID', async () => {
    const both = at('announced.ts')
    const source = await record(at('announced.mkv'), 'red', 4, MPEG2)
    await ffmpeg('-i', source, '-map', '0:v', '-map', '0:a', '-map', '0:a', '-c', 'copy', both)
    const without = async (...pids: number[]) => {
      const path = at(`without-${pids.join('-')}.ts`)
      await writeFile(path, withoutPids(await readFile(both), pids))
      return decode(path)
    }

    const second = await without(0x101)
    const none = await without(0x101, 0x102)
    const audioOnly = await without(0x100)

    assert.equal(tonesOf(second), '3333')
    assert.deepEqual(second.outcome.notes, [])
    assert.deepEqual(
      [none.outcome.audible, none.outcome.visible, none.outcome.notes],
      [false, true, []],
    )
    assert.deepEqual([audioOnly.outcome.audible, audioOnly.outcome.visible], [true, false])
  })

  it('is announced by a transport stream only when it begins', async () => {
    const silent = await make(
      at('silent.ts'),
      ['testsrc2=s=64x64:r=25:d=6'],
      ['-c:v', 'mpeg2video'],
    )
    const sounding = await record(at('sounding.ts'), 'blue', 6, [
      ...MPEG2,
      '-output_ts_offset',
      '6',
    ])
    const path = at('announced-later.ts')
    await writeFile(path, Buffer.concat([await readFile(silent), await readFile(sounding)]))

    assert.equal(tonesOf(await decode(path)), '......999999')
  })
})

describe('audio without timestamps', () => {
  for (const ending of ['aac', 'flac', 'ac3']) {
    it(`is contiguous if its sample rate changes: ${ending}`, async () => {
      const first = await make(at(`rate-1.${ending}`), ['sine=f=300:d=6:r=44100'])
      const second = await make(at(`rate-2.${ending}`), ['sine=f=900:d=6:r=32000'])
      const third = await make(at(`rate-3.${ending}`), ['sine=f=600:d=6:r=48000'])
      const path = at(`rates.${ending}`)
      const parts = await Promise.all(
        [second, third].map(async (part) => framesOf(await readFile(part))),
      )
      await writeFile(path, Buffer.concat([await readFile(first), ...parts]))

      const decoded = await decode(path)

      assert.equal(tonesOf(decoded).slice(0, 18), '333333999999666666')
      assert.ok(Math.abs(decoded.outcome.seconds - 18) < 0.5, `${decoded.outcome.seconds} s`)
    })
  }
})

/** Returns a transport stream without the packets of some PIDs. */
const withoutPids = (bytes: Buffer, pids: readonly number[]): Buffer =>
  Buffer.concat(packetsOf(bytes).filter((packet) => !pids.includes(pidOf(packet))))

const packetsOf = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / 188 }, (_, i) => bytes.subarray(i * 188, (i + 1) * 188))

const pidOf = (packet: Buffer): number => packet.readUInt16BE(1) & 0x1fff

/** Returns the frames of an audio file, without the header of a FLAC. */
function framesOf(bytes: Buffer): Buffer {
  if (bytes.toString('latin1', 0, 4) !== 'fLaC') return bytes
  let at = 4
  for (let isLast = false; !isLast; ) {
    isLast = bytes.readUInt8(at) >= 0x80
    at += 4 + bytes.readUIntBE(at + 1, 3)
  }
  return bytes.subarray(at)
}
