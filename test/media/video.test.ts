import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AppError } from '../../src/errors.js'
import { uintLE } from '../../src/media/probe/uint.js'
import { thumbnail } from '../../src/media/thumbnail.js'
import { opened } from '../opened.js'
import {
  colourOf,
  convert,
  type Decoded,
  decode,
  FORMAT,
  hueOf,
  make,
  temporaryFolder,
} from './helpers.js'

const folder = temporaryFolder()
const COVER = { ...FORMAT, visual: { ...FORMAT.visual, resize: 'cover' } } as const
const TRIM = { ...FORMAT, visual: { ...FORMAT.visual, resize: 'trim' } } as const
const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']
// Each colour has a white corner, so that no frame is flat.
const scene = (colour: string, seconds: number, rate = 10) =>
  `color=${colour}:s=96x96:r=${rate}:d=${seconds},drawbox=x=0:y=0:w=20:h=20:color=white:t=fill`

describe('video and images', { concurrency: 2 }, () => {
  it('samples frames by time if the frame rate varies', async () => {
    const path = join(folder, 'vfr.mkv')
    // Red for 2 s at 25 frames per second, one green frame for 5 s, blue for 3 s at 2 per second.
    const parts = [scene('red', 2, 25), scene('green', 0.2, 5), scene('blue', 3, 2)]
    const chain =
      '[1:v]setpts=PTS+2/TB[g];[2:v]setpts=PTS+7/TB[b];' +
      '[0:v][g][b]interleave=nb_inputs=3:duration=longest'
    await make(path, parts, [
      '-filter_complex',
      chain,
      '-fps_mode',
      'vfr',
      '-enc_time_base',
      '1/1000',
      ...X264,
    ])

    const { segments } = await decode(path)

    const hues = segments[0]?.frames.map((frame) => hueOf(colourOf(frame)))
    assert.deepEqual(hues, [
      'red',
      'red',
      'green',
      'green',
      'green',
      'green',
      'green',
      'blue',
      'blue',
      'blue',
    ])
  })

  it('repeats the array of a frame that stays visible', async () => {
    const path = await make(join(folder, 'timelapse.mp4'), ['testsrc2=s=64x48:r=1/15:d=60'], X264)

    const frames = (await decode(path)).segments.flatMap(({ frames }) => frames)

    assert.equal(frames.length, 60)
    assert.equal(new Set(frames).size, 4)
  })

  it('decodes the first video track that is not blank', async () => {
    const inputs = [
      'color=black:s=64x48:r=5:d=12',
      'color=gray:s=64x48:r=5:d=12',
      'testsrc2=s=64x48:r=5:d=12',
    ]
    const tracks = ['-map', '0', '-map', '1', '-map', '2', ...X264]
    for (const name of ['tracks.mp4', 'tracks.mkv']) {
      const { segments, outcome } = await decode(await make(join(folder, name), inputs, tracks))

      assert.deepEqual(
        segments.map(({ frames }) => frames.length),
        [10, 2],
        name,
      )
      assert.deepEqual(outcome.notes, ['VISUAL_TRACK_CHOSEN'])
    }
  })

  it('rotates video upright', async () => {
    const plain = await make(
      join(folder, 'upright.mp4'),
      ['color=red:s=96x64:d=1,drawbox=w=48:h=64:color=blue:t=fill'],
      X264,
    )
    const path = await convert(
      plain,
      join(folder, 'rotated.mp4'),
      [],
      ['-c', 'copy', '-metadata:s:v:0', 'rotate=90'],
    )

    const { segments } = await decode(path)

    const frame = segments[0]?.frames[0] as Uint8Array
    const [top, bottom] = [0.2, 0.8].map((y) => hueOf(colourOf(frame, FORMAT, 0.5, y)))
    assert.deepEqual([top, bottom].sort(), ['blue', 'red'])
    const [left, right] = [0.2, 0.8].map((x) => hueOf(colourOf(frame, FORMAT, x, 0.2)))
    assert.equal(left, right)
  })

  it('applies the pixel aspect ratio and crops the centre', async () => {
    // Displayed as 128 × 64.
    const thirds = 'color=red:s=32x64:d=1,drawbox=x=6:w=20:h=64:color=blue:t=fill,setsar=4/1'
    const path = await make(join(folder, 'wide-pixels.mkv'), [thirds], [...X264, '-qp', '0'])

    assert.equal((await decode(path)).outcome.visible, true)
    // The centre half is flat blue, so it is blank.
    await assert.rejects(decode(path, COVER), { code: 'MEDIA_NO_CONTENT' })
  })

  it('trims beyond 4:3 in either direction, and squashes the rest', async () => {
    // The middle 96 of 160 pixels are within 4:3. The blue extends a little beyond.
    const strips = (x: number, y: number, w: number, h: number) =>
      `color=red:s=${x}x${y}:d=1,` +
      `drawbox=x=${(x - w) / 2}:y=${(y - h) / 2}:w=${w}:h=${h}:color=blue:t=fill`
    const wide = await make(
      join(folder, 'wide.mkv'),
      [strips(160, 72, 108, 72)],
      [...X264, '-qp', '0'],
    )
    const tall = await make(
      join(folder, 'tall.mkv'),
      [strips(72, 160, 72, 108)],
      [...X264, '-qp', '0'],
    )
    const square = await make(
      join(folder, 'square.mkv'),
      [strips(64, 64, 32, 64)],
      [...X264, '-qp', '0'],
    )

    for (const path of [wide, tall])
      await assert.rejects(decode(path, TRIM), { code: 'MEDIA_NO_CONTENT' }, 'all blue')
    const [frame] = (await decode(square, TRIM)).segments[0]?.frames ?? []

    const across = [0.1, 0.5, 0.9].map((x) => hueOf(colourOf(frame as Uint8Array, TRIM, x, 0.5)))
    assert.deepEqual(across, ['red', 'blue', 'red'])
  })

  it('spreads the frames of a short clip over its length', async () => {
    const path = await make(join(folder, 'short.mp4'), [`testsrc2=s=96x96:r=25:d=2`], X264)

    const { segments, outcome } = await decode(path)

    assert.equal(segments.length, 1)
    assert.equal(segments[0]?.frames.length, 10)
    assert.equal(segments[0]?.end, 2)
    assert.equal(outcome.seconds, 2)
  })

  it('drops blank frames if there are others', async () => {
    const path = join(folder, 'half-blank.mp4')
    const chain = '[0:v][1:v]concat=n=2'
    await make(
      path,
      ['color=black:s=96x96:r=10:d=5', scene('red', 5)],
      ['-filter_complex', chain, ...X264],
    )

    const { segments, outcome } = await decode(path)

    assert.equal(segments[0]?.frames.length, 5)
    assert.deepEqual(outcome.notes, [])
  })

  it('keeps the clock if the size changes midway', async () => {
    const small = await make(join(folder, 'small.ts'), [scene('red', 5)], X264)
    const large = join(folder, 'large.ts')
    await make(
      large,
      [scene('blue', 5).replaceAll('96', '128')],
      [...X264, '-output_ts_offset', '5'],
    )
    const path = join(folder, 'resized.ts')
    await writeFile(path, Buffer.concat([await readFile(small), await readFile(large)]))

    const { segments, outcome } = await decode(path)

    const hues = segments[0]?.frames.map((frame) => hueOf(colourOf(frame)))
    assert.equal(segments.length, 1)
    assert.ok(Math.abs(outcome.seconds - 10) < 0.3, `${outcome.seconds} s`)
    assert.deepEqual(hues?.slice(0, 4), ['red', 'red', 'red', 'red'])
    assert.deepEqual(hues?.slice(6), ['blue', 'blue', 'blue', 'blue'])
  })

  it('selects another frame of a cell if the middle one is black or blurred', async () => {
    // Cells of 1 s: from 0.3 to 0.7 of each second the video is black or blurred.
    const shown = 'testsrc2=s=96x96:r=20:d=5'
    const middle = "enable='between(mod(t,1),0.3,0.7)'"
    const longer = { ...FORMAT, seconds: 5, visual: { ...FORMAT.visual, framesPerSegment: 5 } }
    const contrast = ({ segments }: Decoded) => segments[0]?.frames.map(deviation) ?? []
    const clear = contrast(
      await decode(await make(join(folder, 'clear.mp4'), [shown], X264), longer),
    )

    for (const [name, filter] of Object.entries({
      black: 'drawbox=t=fill:color=black',
      blurred: 'gblur=sigma=20',
    })) {
      const path = await make(join(folder, `${name}.mp4`), [`${shown},${filter}:${middle}`], X264)
      const actual = contrast(await decode(path, longer))
      assert.equal(actual.length, 5, name)
      actual.forEach((value, i) => {
        assert.ok(value > 0.8 * (clear[i] ?? Infinity), `${name}, cell ${i}: ${value}, ${clear[i]}`)
      })
    }
  })

  it('decodes only key frames if each cell has one, else all frames', async () => {
    const moving =
      'testsrc2=s=1280x720:r=10:d=30,' +
      "drawbox=w=400:h=400:color=white:t=fill:enable='gte(mod(t,1),0.1)'"
    const lossless = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-sc_threshold', '0']
    const steady = await make(join(folder, 'steady.mkv'), [moving], [...lossless, '-g', '10'])
    const rare = await make(join(folder, 'rare.mkv'), [moving], [...lossless, '-g', '250'])
    const isWhite = (frame: Uint8Array) => Math.min(...colourOf(frame, FORMAT, 0.1, 0.1)) > 240

    const key = await decode(steady)
    const all = await decode(rare)

    // The white box is in every frame except at full seconds, which are the key frames.
    assert.deepEqual(
      key.segments.map(({ frames }) => frames.filter(isWhite).length),
      [0, 0, 0],
    )
    assert.deepEqual(
      key.segments.map(({ frames }) => frames.length),
      [10, 10, 10],
    )
    assert.deepEqual(
      all.segments.map(({ frames }) => frames.filter(isWhite).length),
      [10, 10, 10],
    )
    assert.ok(Math.abs(key.outcome.seconds - 30) < 0.2)
  })

  it('maps HDR to BT.709', async () => {
    const bars = 'smptebars=s=192x108:r=5:d=1,format=yuv420p'
    const bt709 = 'setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv'
    const plain = await make(join(folder, 'sdr.mp4'), [`${bars},${bt709}`], [...X264, '-qp', '0'])
    const expected = meanColour(await decode(plain))

    for (const transfer of ['smpte2084', 'arib-std-b67']) {
      const linear =
        'zscale=t=linear:npl=203,format=gbrpf32le,' +
        `zscale=p=bt2020:t=${transfer}:m=bt2020nc:r=tv:npl=203`
      const path = join(folder, `${transfer}.mkv`)
      const colours = [
        '-color_primaries',
        'bt2020',
        '-color_trc',
        transfer,
        '-colorspace',
        'bt2020nc',
        '-color_range',
        'tv',
      ]
      await make(
        path,
        [`${bars},${bt709},${linear},format=yuv420p10le`],
        ['-c:v', 'ffv1', ...colours],
      )
      const { segments, outcome } = await decode(path)
      const actual = meanColour({ segments, outcome })
      actual.forEach((value, i) => {
        assert.ok(
          Math.abs(value - (expected[i] ?? NaN)) < 14,
          `${transfer}: ${actual}, not ${expected}`,
        )
      })
      assert.deepEqual(outcome.notes, [])
    }
  })

  it('decodes 10 bits to the same colours as 8 bits', async () => {
    const bars = 'smptebars=s=192x108:r=5:d=1'
    const eight = await make(
      join(folder, 'eight.mkv'),
      [bars],
      ['-c:v', 'ffv1', '-pix_fmt', 'yuv420p'],
    )
    const ten = await make(
      join(folder, 'ten.mkv'),
      [bars],
      ['-c:v', 'ffv1', '-pix_fmt', 'yuv420p10le'],
    )
    const [expected, actual] = [meanColour(await decode(eight)), meanColour(await decode(ten))]

    actual.forEach((value, i) => {
      assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 2, `${actual}, not ${expected}`)
    })
  })

  it('rotates a photo by its EXIF orientation', async () => {
    const plain = await make(
      join(folder, 'plain.jpg'),
      ['color=red:s=96x64:d=1,drawbox=w=48:h=64:color=blue:t=fill'],
      ['-frames:v', '1'],
    )
    const path = join(folder, 'rotated.jpg')
    await writeFile(path, withOrientation(await readFile(plain), 6))

    const frame = (await decode(path)).segments[0]?.frames[0] as Uint8Array

    // Orientation 6 rotates the left side to the top.
    assert.deepEqual(
      [0.2, 0.8].map((y) => hueOf(colourOf(frame, FORMAT, 0.5, y))),
      ['blue', 'red'],
    )
  })

  it('decodes an animated GIF as video and a GIF of one frame as an image', async () => {
    const animated = await make(join(folder, 'animated.gif'), ['testsrc=s=64x64:r=5:d=2'])
    const still = await make(join(folder, 'still.gif'), ['testsrc=s=64x64:r=5:d=0.2'])

    const [video, image] = [(await decode(animated)).segments, (await decode(still)).segments]

    assert.deepEqual([video[0]?.start, video[0]?.end, video[0]?.frames.length], [0, 2, 10])
    assert.deepEqual([image[0]?.start, image[0]?.end, image[0]?.frames.length], [0, 0, 1])
  })

  it('decodes an animated WebP to the frames of the video that it was made from', async () => {
    const source = ['testsrc2=s=64x64:r=5:d=3']
    const lossless = ['-c:v', 'libwebp_anim', '-lossless', '1', '-pix_fmt', 'bgra']
    const reference = await decode(
      await make(join(folder, 'reference.mkv'), source, ['-c:v', 'ffv1', '-pix_fmt', 'bgra']),
    )

    const path = await make(join(folder, 'animated.webp'), source, lossless)
    const { segments, outcome } = await decode(path)

    assert.deepEqual([outcome.seconds, outcome.notes], [3, []])
    assert.equal(segments[0]?.frames.length, FORMAT.visual.framesPerSegment)
    const [frames, expected] = [segments, reference.segments].map((all) =>
      Buffer.concat(all[0]?.frames ?? []),
    )
    const maxError = frames?.reduce(
      (max, value, i) => Math.max(max, Math.abs(value - (expected?.[i] ?? NaN))),
      0,
    )
    assert.ok(maxError !== undefined && maxError <= 2, `${maxError} of 255`)
    const target = join(folder, 'animated.jpg')
    await thumbnail(await opened(path), { at: 1, target })
    assert.deepEqual(await sizeOf(target), [480, 480])
  })

  it('composes the frames of an animated WebP by place, time, blending and clearing', async () => {
    const still = async (colour: string, size: string) => {
      const path = join(folder, `${colour.replace('@', '-')}-${size}.webp`)
      const lossless = [
        '-c:v',
        'libwebp',
        '-lossless',
        '1',
        '-pix_fmt',
        'bgra',
        '-frames:v',
        '1',
        '-f',
        'webp',
      ]
      return readFile(await make(path, [`color=${colour}:s=${size},format=bgra`], lossless))
    }
    const path = join(folder, 'hand-made.webp')
    const frame = { x: 0, y: 0, width: 32, height: 32, ms: 1000, blends: true, clears: false }
    const corner = { ...frame, x: 32, y: 32 }
    const animation = animatedWebp(64, [
      { ...frame, still: await still('red', '32x32'), clears: true },
      { ...frame, still: await still('lime', '64x48'), width: 64, height: 48 },
      { ...corner, still: await still('blue', '32x32') },
      { ...corner, still: await still('red@0', '32x32') },
      { ...corner, still: await still('red@0', '32x32'), blends: false, clears: true },
    ])
    await writeFile(path, animation)

    const { segments, outcome } = await decode(path)

    const isLit = (value: number) => (value > 128 ? 1 : 0)
    // Ten frames in five seconds.
    const colourAt = (second: number, at: number) =>
      colourOf(segments[0]?.frames[2 * second] as Uint8Array, FORMAT, at, at).map(isLit)
    const [black, red, lime, blue] = [
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]
    assert.equal(outcome.seconds, 5)
    assert.deepEqual(
      [0, 1, 2, 3].map((second) => [colourAt(second, 0.2), colourAt(second, 0.6)]),
      [
        [red, black],
        [lime, lime],
        [lime, blue],
        [lime, blue],
      ],
    )
    assert.notDeepEqual(colourAt(4, 0.6), blue, 'a frame that does not blend replaces the canvas')
  })

  it('decodes a truncated animated WebP up to its last complete frame', async () => {
    const path = await make(
      join(folder, 'cut.webp'),
      ['testsrc2=s=64x64:r=5:d=3'],
      ['-c:v', 'libwebp_anim'],
    )
    const bytes = await readFile(path)
    await writeFile(path, bytes.subarray(0, bytes.length * 0.7))

    const { segments, outcome } = await decode(path)

    assert.ok(outcome.seconds > 1 && outcome.seconds < 3, `${outcome.seconds} s`)
    assert.deepEqual([segments.length, outcome.notes], [1, ['DAMAGED']])
    await writeFile(path, bytes.subarray(0, 60))
    await assert.rejects(decode(path), { code: 'MEDIA_DAMAGED' })
  })

  it('creates upright thumbnails of at most 480 pixels a side', async () => {
    const plain = await make(join(folder, 'large.mp4'), ['testsrc2=s=1280x720:r=10:d=2'], X264)
    const path = await convert(
      plain,
      join(folder, 'tall.mp4'),
      [],
      ['-c', 'copy', '-metadata:s:v:0', 'rotate=90'],
    )
    const target = join(folder, 'thumbnail.jpg')

    await thumbnail(await opened(path), { at: 0.2, target })

    const size = (await readFile(target)).subarray(0, 3).toString('hex')
    assert.equal(size, 'ffd8ff')
    const { segments } = await decode(target)
    assert.equal(segments.length, 1)
    assert.deepEqual(await sizeOf(target), [270, 480])
  })

  it('rejects a thumbnail of a file without video', async () => {
    const path = await make(join(folder, 'tone.wav'), ['sine=d=1'])

    const creating = thumbnail(await opened(path), { at: 0, target: join(folder, 'never.jpg') })

    await assert.rejects(
      creating,
      (error) => error instanceof AppError && error.code === 'CLIP_HAS_NO_PICTURE',
    )
  })
})

/** Returns the standard deviation of red in a frame. */
function deviation(frame: Uint8Array): number {
  const red = frame.filter((_, i) => i % 3 === 0)
  const mean = red.reduce((sum, value) => sum + value, 0) / red.length
  return Math.sqrt(red.reduce((sum, value) => sum + (value - mean) ** 2, 0) / red.length)
}

function meanColour({ segments }: Decoded): readonly number[] {
  const frame = segments[0]?.frames[0] as Uint8Array
  return [0, 1, 2].map((channel) => {
    const values = frame.filter((_, i) => i % 3 === channel)
    return Math.round(values.reduce((sum, value) => sum + value, 0) / values.length)
  })
}

/** Returns a JPEG with an EXIF segment that contains only the orientation. */
function withOrientation(jpeg: Buffer, orientation: number): Buffer {
  const tiff = Buffer.from('4d4d002a00000008000101120003000000010000000000000000', 'hex')
  tiff.writeUInt16BE(orientation, 18)
  const body = Buffer.concat([Buffer.from('Exif\0\0'), tiff])
  const head = Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2])
  return Buffer.concat([head, body, jpeg.subarray(2)])
}

/** Returns width and height by the frame header of a baseline JPEG. */
async function sizeOf(path: string): Promise<readonly number[]> {
  const bytes = await readFile(path)
  const at = bytes.indexOf(Buffer.from([0xff, 0xc0]))
  return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)]
}

interface WebpFrame {
  readonly still: Buffer
  readonly width: number
  readonly height: number
  readonly x: number
  readonly y: number
  readonly ms: number
  readonly blends: boolean
  readonly clears: boolean
}

/** Returns an animated WebP made of still ones. */
function animatedWebp(side: number, frames: readonly WebpFrame[]): Buffer {
  const chunk = (name: string, ...parts: Buffer[]) => {
    const data = Buffer.concat(parts)
    return Buffer.concat([Buffer.from(name), uintLE(data.length, 4), data])
  }
  const anmf = ({ still, width, height, x, y, ms, blends, clears }: WebpFrame) => {
    const place = [x / 2, y / 2, width - 1, height - 1, ms].map((value) => uintLE(value, 3))
    const image = still.subarray(still.indexOf('VP8L'))
    return chunk('ANMF', ...place, Buffer.of((blends ? 0 : 2) + (clears ? 1 : 0)), image)
  }
  const canvas = chunk('VP8X', Buffer.of(0x12, 0, 0, 0), uintLE(side - 1, 3), uintLE(side - 1, 3))
  const body = [canvas, chunk('ANIM', Buffer.alloc(6)), ...frames.map(anmf)]
  return chunk('RIFF', Buffer.from('WEBP'), ...body)
}
