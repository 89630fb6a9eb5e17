import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { uintLE } from '../../src/media/probe/uint.js'
import { ffmpegBuild } from '../../src/media/process/ffmpeg-build.js'
import { thumbnail } from '../../src/media/thumbnail.js'
import { freshlySeeded } from '../contract/vectors.js'
import { opened } from '../opened.js'
import { amplitudeAt, colourOf, decode, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const SECONDS = 2
const RATE_HZ = 8000

/**
 * Writes a WAV file of 16 bits, with a channel layout only if there is a mask. Returns the path.
 */
async function wav(
  name: string,
  channels: readonly ((second: number) => number)[],
  mask?: number,
): Promise<string> {
  const frames = SECONDS * RATE_HZ
  const samples = Int16Array.from({ length: frames * channels.length }, (_, i) => {
    const channel = channels[i % channels.length] as (second: number) => number
    return Math.round(32_767 * channel(Math.floor(i / channels.length) / RATE_HZ))
  })
  const data = Buffer.from(samples.buffer)
  const format = Buffer.alloc(mask === undefined ? 16 : 40)
  format.writeUInt16LE(mask === undefined ? 1 : 0xfffe, 0)
  format.writeUInt16LE(channels.length, 2)
  format.writeUInt32LE(RATE_HZ, 4)
  format.writeUInt32LE(RATE_HZ * channels.length * 2, 8)
  format.writeUInt16LE(channels.length * 2, 12)
  format.writeUInt16LE(16, 14)
  if (mask !== undefined) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(16, 18)
    format.writeUInt32LE(mask, 20)
    Buffer.from('0100000000001000800000aa00389b71', 'hex').copy(format, 24)
  }
  const chunk = (id: string, body: Buffer) =>
    Buffer.concat([Buffer.from(id), uintLE(body.length, 4), body])
  const body = Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', format), chunk('data', data)])
  await writeFile(at(name), chunk('RIFF', body))
  return at(name)
}

const tone = (second: number) => 0.3 * Math.sin(2 * Math.PI * 440 * second)
const silence = () => 0

/** Returns the amplitude of 440 Hz in the first segment. */
async function amplitudeIn(path: string): Promise<number> {
  const { segments, outcome } = await decode(path)
  assert.ok(!outcome.notes.includes('DAMAGED'), path)
  const samples = segments[0]?.samples
  return samples ? amplitudeAt(440, samples, 16_000) : 0
}

describe('channels without a layout', () => {
  for (const count of [3, 5, 7, 9, 10, 12, 16, 24, 25, 32]) {
    it(`are all mixed, whichever of ${count} has the tone`, async () => {
      for (const place of [0, 1, Math.floor(count / 2), count - 1]) {
        const channels = Array.from({ length: count }, (_, i) => (i === place ? tone : silence))
        const amplitude = await amplitudeIn(await wav(`poly${count}_${place}.wav`, channels))
        assert.ok(
          Math.abs(amplitude - 0.3 / count) < 0.003,
          `channel ${place} of ${count}: ${amplitude}`,
        )
      }
      const all = await amplitudeIn(await wav(`all${count}.wav`, Array(count).fill(tone)))
      assert.ok(Math.abs(all - 0.3) < 0.01, `${all}`)
    })
  }
})

it('decodes audio in the LFE only if no other channel is audible', async () => {
  const only = Array.from({ length: 6 }, (_, i) => (i === 3 ? tone : silence))
  const withFront = [
    (second: number) => 0.3 * Math.sin(2 * Math.PI * 900 * second),
    ...only.slice(1),
  ]

  assert.ok((await amplitudeIn(await wav('lfe.wav', only, 0x3f))) > 0.03)
  assert.ok((await amplitudeIn(await wav('front.wav', withFront, 0x3f))) < 0.005)
})

describe('a DC offset', () => {
  const silent: Readonly<Record<string, (random: () => number) => number>> = {
    'of 0.3': () => 0.3,
    'of -0.9': () => -0.9,
    'with noise below -80 dBFS': (random) => 0.3 + 0.00003 * (2 * random() - 1),
  }
  for (const [name, voltage] of Object.entries(silent)) {
    it(`${name} is silent`, async (test) => {
      const random = freshlySeeded(test)
      const channel = () => voltage(random)
      await assert.rejects(decode(await wav('dc.wav', [channel])), { code: 'MEDIA_NO_CONTENT' })
    })
  }

  const audible = {
    'a tone of 20 Hz': (second: number) => 0.3 * Math.sin(2 * Math.PI * 20 * second),
    'a quiet tone on an offset': (second: number) =>
      0.3 + 0.001 * Math.sin(2 * Math.PI * 440 * second),
    'a click': (second: number) => (Math.abs(second - 1) < 0.001 ? 0.5 : 0),
    'a click on an offset': (second: number) => (Math.abs(second - 1) < 0.001 ? 0.5 : 0.2),
    'a quiet tone': (second: number) => 0.001 * Math.sin(2 * Math.PI * 440 * second),
  }
  for (const [name, channel] of Object.entries(audible)) {
    it(`is not confused with ${name}`, async () => {
      assert.equal((await decode(await wav('sound.wav', [channel]))).outcome.audible, true)
    })
  }
})

describe('video with alpha', () => {
  const ring = '255*lt(hypot(X-160,Y-120),80)*gt(hypot(X-160,Y-120),50)'
  const drawn = (grey: number) =>
    `color=black:s=320x240:d=1:r=5,format=rgba,geq=r=${grey}:g=${grey}:b=${grey}:a='${ring}'`
  const hidden =
    "testsrc2=s=320x240:d=1:r=5,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':" +
    "a='255*lt(hypot(X-160,Y-120),60)'"

  for (const grey of [0, 128, 255]) {
    it(`shows a shape of shade ${grey}`, async () => {
      for (const [name, output] of [
        ['png', ['-frames:v', '1']],
        ['tiff', ['-frames:v', '1']],
        ['webp', ['-frames:v', '1', '-lossless', '1']],
      ] as const) {
        const path = await make(at(`ring${grey}.${name}`), [drawn(grey)], [...output])
        assert.equal((await decode(path)).outcome.visible, true, name)
      }
    })
  }

  const files: Readonly<Record<string, readonly string[]>> = {
    'still.png': ['-frames:v', '1'],
    'still16.png': ['-frames:v', '1', '-pix_fmt', 'rgba64be'],
    'greys.png': ['-frames:v', '1', '-pix_fmt', 'ya8'],
    'still.webp': ['-frames:v', '1'],
    'moving.webp': ['-c:v', 'libwebp_anim', '-lossless', '1'],
    'moving.apng': ['-f', 'apng'],
    'moving.gif': [
      '-filter_complex',
      '[0:v]split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse',
    ],
    'prores.mov': ['-c:v', 'prores_ks', '-profile:v', '4444', '-pix_fmt', 'yuva444p10le'],
    'animation.mov': ['-c:v', 'qtrle'],
    'pngs.mov': ['-c:v', 'png'],
    'vp9.webm': ['-c:v', 'libvpx-vp9', '-pix_fmt', 'yuva420p', '-auto-alt-ref', '0'],
    'vp8.webm': ['-c:v', 'libvpx', '-pix_fmt', 'yuva420p', '-auto-alt-ref', '0'],
  }
  for (const [name, output] of Object.entries(files)) {
    it(`hides transparent pixels: ${name}`, async (test) => {
      if (name.startsWith('vp') && !(await ffmpegBuild()).hasLibvpx)
        return test.skip('this ffmpeg has no libvpx')
      const path = await make(at(name), [hidden], output)

      const { segments } = await decode(path)
      const frame = segments[0]?.frames[0] as Uint8Array
      const corners = [
        [0.02, 0.02],
        [0.97, 0.02],
        [0.02, 0.97],
        [0.97, 0.97],
      ] as const

      for (const [x, y] of corners) {
        const colour = colourOf(frame, undefined, x, y)
        assert.ok(
          colour.every((value) => Math.abs(value - 128) < 16),
          `${name} at ${x}, ${y}: ${colour}`,
        )
      }
      await thumbnail(await opened(path), { at: 0, target: at(`${name}.jpg`) })
      const raw = ['-v', 'error', '-i', at(`${name}.jpg`), '-vf', 'scale=8:6:flags=area']
      const { stdout } = await promisify(execFile)(
        'ffmpeg',
        [...raw, '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
        {
          encoding: 'buffer',
        },
      )
      for (const corner of [0, 7, 40, 47])
        assert.ok(Math.abs((stdout[corner] ?? 0) - 128) < 20, name)
    })
  }

  it('has the same pixels as video without alpha if it is opaque', async () => {
    const opaque = await make(
      at('opaque.png'),
      ['testsrc2=s=320x240'],
      ['-frames:v', '1', '-pix_fmt', 'rgb24'],
    )
    const alpha = await make(
      at('alpha.png'),
      ['testsrc2=s=320x240'],
      ['-frames:v', '1', '-pix_fmt', 'rgba'],
    )

    const [one, other] = [await decode(opaque), await decode(alpha)]

    assert.deepEqual(one.segments[0]?.frames[0], other.segments[0]?.frames[0])
  })
})

describe('a long tag before the audio', () => {
  const codecs: Readonly<Record<string, readonly string[]>> = {
    flac: ['-c:a', 'flac'],
    aac: ['-c:a', 'aac', '-f', 'adts'],
    tta: ['-c:a', 'tta'],
    ac3: ['-c:a', 'ac3'],
    wv: ['-c:a', 'wavpack'],
    dts: ['-c:a', 'dca', '-strict', '-2', '-ac', '2', '-ar', '48000'],
    mp3: ['-c:a', 'libmp3lame'],
  }
  for (const [name, output] of Object.entries(codecs)) {
    it(`does not change a ${name} file`, async () => {
      const plain = await make(at(`plain.${name}`), ['sine=f=440:d=4:r=48000'], output)
      const bytes = await readFile(plain)
      const before = await decode(plain)

      for (const tags of [[600], [1100], [5000], [700, 700]]) {
        const path = at(`tagged.${name}`)
        await writeFile(path, Buffer.concat([...tags.map(id3), bytes]))

        const { segments, outcome } = await decode(path)

        assert.ok(
          Math.abs(outcome.seconds - before.outcome.seconds) < 0.06,
          `${tags}: ${outcome.seconds}`,
        )
        assert.equal(outcome.audible, true)
        if (name !== 'mp3')
          assert.deepEqual(segments[0]?.samples, before.segments[0]?.samples, `${tags}`)
      }
    })
  }

  /** Returns an ID3v2.4 tag of a size in KiB. */
  function id3(kilobytes: number): Buffer {
    const size = (bytes: number) =>
      Buffer.from([21, 14, 7, 0].map((shift) => (bytes >> shift) & 0x7f))
    const art = Buffer.from(Array.from({ length: kilobytes * 1024 }, (_, i) => (i * 7919) % 251))
    const body = Buffer.concat([Buffer.from('\x03image/jpeg\0\x03\0', 'latin1'), art])
    const frame = Buffer.concat([Buffer.from('APIC'), size(body.length), Buffer.alloc(2), body])
    return Buffer.concat([Buffer.from('ID3\x04\0\0', 'latin1'), size(frame.length), frame])
  }
})
