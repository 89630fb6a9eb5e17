import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { MediaHeader } from '../../src/media/probe/media-header.js'
import { mp4Header } from '../../src/media/probe/mp4/mp4-header.js'
import { probeHeader } from '../../src/media/probe/probe-header.js'
import { stageFile } from '../../src/media/staging/staged-file.js'
import { seeded } from '../contract/vectors.js'
import { opened } from '../opened.js'
import { FIXTURES } from '../workplace.js'
import { convert, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const VIDEO = 'testsrc2=s=66x50:r=10:d=2'
const AUDIO = 'sine=r=44100:d=1.5'
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']
const AAC = ['-c:a', 'aac']
const BOTH = [...H264, ...AAC]
const at = (name: string) => join(folder, `${name}.mp4`)

const PARSED: Record<string, readonly [inputs: readonly string[], output: readonly string[]]> = {
  plain: [[VIDEO, AUDIO], BOTH],
  'frames-reordered': [
    [VIDEO, AUDIO],
    [...H264, '-preset', 'medium', '-bf', '3', ...AAC],
  ],
  'moov-first': [
    [VIDEO, AUDIO],
    [...BOTH, '-movflags', '+faststart'],
  ],
  'without-edits': [
    [VIDEO, 'sine=r=48000:d=2'],
    [...BOTH, '-use_editlist', '0', '-bf', '0'],
  ],
  'colours-named': [
    [VIDEO],
    [...H264, '-colorspace', 'bt709', '-color_trc', 'bt709', '-color_primaries', 'bt709'],
  ],
  interlaced: [
    ['testsrc2=s=64x64:r=10:d=2'],
    [...H264, '-preset', 'medium', '-x264-params', 'interlaced=1'],
  ],
  'wide-pixels': [[`${VIDEO},setsar=4/3`], H264],
  'audio-alone': [[AUDIO], AAC],
  stereo: [[AUDIO], [...AAC, '-ac', '2']],
  surround: [[AUDIO], [...AAC, '-ac', '6']],
  'mono-at-16-kHz': [[AUDIO], [...AAC, '-ar', '16000']],
  'two-audio-tracks': [
    [VIDEO, AUDIO, 'sine=d=2'],
    [...BOTH, '-map', '0', '-map', '1', '-map', '2'],
  ],
  'second-audio-default': [
    [VIDEO, AUDIO, 'sine=d=2'],
    [
      ...BOTH,
      '-map',
      '0',
      '-map',
      '1',
      '-map',
      '2',
      '-disposition:a:0',
      '0',
      '-disposition:a:1',
      'default',
    ],
  ],
  'one-frame': [['testsrc2=s=64x64:r=10:d=0.1'], H264],
}

const UNSUPPORTED: Record<string, readonly [inputs: readonly string[], output: readonly string[]]> =
  {
    'ten-bits': [[VIDEO], [...H264, '-pix_fmt', 'yuv420p10le']],
    hdr: [
      [VIDEO],
      [...H264, '-color_trc', 'smpte2084', '-colorspace', 'bt2020nc', '-color_primaries', 'bt2020'],
    ],
    'full-chroma': [[VIDEO], [...H264, '-pix_fmt', 'yuv444p']],
    mpeg4: [[VIDEO], ['-c:v', 'mpeg4']],
    'two-video-tracks': [
      [VIDEO, VIDEO],
      [...H264, '-map', '0', '-map', '1'],
    ],
    fragmented: [
      [VIDEO, AUDIO],
      [...BOTH, '-movflags', 'frag_keyframe+empty_moov'],
    ],
    'other-audio': [
      [VIDEO, AUDIO],
      [...H264, '-c:a', 'ac3'],
    ],
    'with-time-codes': [[VIDEO], [...H264, '-timecode', '00:00:01:00', '-f', 'mov']],
  }

describe('the header of an MP4', () => {
  for (const [name, [inputs, output]] of Object.entries(PARSED)) {
    it(`equals that of ffprobe: ${name}`, async () => {
      const path = await make(at(name), inputs, output)

      const header = await mp4Header(await opened(path))

      assert.deepEqual(toMicroseconds(header), toMicroseconds(await probed(path)))
      assert.notEqual(header, null)
    })
  }

  it('equals that of ffprobe: audio that begins late', async () => {
    const plain = await make(at('to-be-late'), [VIDEO, AUDIO], BOTH)
    const both = ['-itsoffset', '0.3', '-i', plain]
    const path = await convert(plain, at('late'), both, [
      '-map',
      '1:v',
      '-map',
      '0:a',
      '-c',
      'copy',
    ])

    const header = await mp4Header(await opened(path))

    assert.ok((header?.audioTracks[0]?.startsAt ?? 0) > 0.2)
    assert.deepEqual(toMicroseconds(header), toMicroseconds(await probed(path)))
  })

  it('states whether the audio has gaps', async () => {
    const even = await make(at('even'), [AUDIO], AAC)
    const gap = await make(at('gap'), [`${AUDIO},asetpts='if(lt(T,0.2),PTS,PTS+5/TB)'`], AAC)

    assert.deepEqual((await mp4Header(await opened(even)))?.audioTracks[0]?.spacing, 'even')
    assert.deepEqual((await mp4Header(await opened(gap)))?.audioTracks[0]?.spacing, 'any')
  })

  it('equals that of ffprobe, or is left to ffprobe, for every fixture', async () => {
    let parsed = 0
    for (const name of readdirSync(FIXTURES).filter((name) => name.includes('.'))) {
      const path = join(FIXTURES, name)
      const header = await mp4Header(await opened(path))
      if (header === null) continue
      parsed++
      assert.deepEqual(toMicroseconds(header), toMicroseconds(await probed(path)), name)
    }
    assert.ok(parsed >= 12)
  })

  for (const [name, [inputs, output]] of Object.entries(UNSUPPORTED)) {
    it(`is left to ffprobe: ${name}`, async () => {
      assert.equal(await mp4Header(await opened(await make(at(name), inputs, output))), null)
    })
  }

  it('is left to ffprobe: cover art', async () => {
    const cover = await make(
      join(folder, 'cover.png'),
      ['testsrc2=s=64x64:d=0.1:r=10'],
      ['-frames:v', '1'],
    )
    const audio = await make(at('uncovered'), [AUDIO], AAC)
    const output = [
      '-map',
      '0',
      '-map',
      '1',
      '-c',
      'copy',
      '-disposition:v',
      'attached_pic',
      '-f',
      'mp4',
    ]

    assert.equal(
      await mp4Header(await opened(await convert(cover, at('covered'), ['-i', audio], output))),
      null,
    )
  })

  it('is left to ffprobe if the file is truncated', async () => {
    const path = await make(at('cut'), [VIDEO, AUDIO], BOTH)
    await truncate(path, 2000)

    assert.equal(await mp4Header(await opened(path)), null)
  })

  it('contains only finite numbers if any byte is wrong', async () => {
    const bytes = await readFile(await make(at('intact'), [VIDEO, AUDIO], BOTH))
    const movie = bytes.indexOf('moov')
    const random = seeded(5)
    let parsed = 0
    for (let i = 0; i < 400; i++) {
      const damaged = Buffer.from(bytes)
      damaged[movie + Math.floor(random() * (bytes.length - movie))] = Math.floor(random() * 256)
      await writeFile(at('damaged'), damaged)
      const header = await mp4Header(await opened(at('damaged')))
      if (header === null) continue
      parsed++
      assertNumbers(header)
    }
    assert.ok(parsed > 20 && parsed < 400)
  })
})

async function probed(path: string): Promise<MediaHeader> {
  await using source = await stageFile(await opened(path))
  return await probeHeader(source)
}

/** Rounds to the six digits of ffprobe, and drops the spacing, which ffprobe does not state. */
function toMicroseconds(header: MediaHeader | null): unknown {
  const round = (key: string, value: unknown) => {
    if (key === 'spacing') return undefined
    return typeof value === 'number' ? Math.round(value * 1e6) / 1e6 : value
  }
  return JSON.parse(JSON.stringify(header, round))
}

function assertNumbers({ seconds, video, audioTracks }: MediaHeader): void {
  const numbers = [
    seconds,
    ...[...audioTracks, ...(video ? [video] : [])].flatMap((track) => [
      track.startsAt,
      track.seconds,
    ]),
  ]
  for (const number of numbers)
    assert.ok(number !== null && number >= 0 && Number.isFinite(number), `${number}`)
}
