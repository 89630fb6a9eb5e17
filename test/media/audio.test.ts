import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { amplitudeAt, decode, FORMAT, make, peakOf, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const FIRST = { ...FORMAT, audio: { ...FORMAT.audio, channels: 'first' } } as const
const VIDEO = 'testsrc2=s=64x64:r=10'
const MKV = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'pcm_s16le']

describe('audio', { concurrency: 2 }, () => {
  it('keeps the amplitude of a tone, for the mean of the channels and for the first', async () => {
    const stereo = "aevalsrc='0.8*sin(2*PI*440*t)|0.4*sin(2*PI*1000*t)':d=2:s=44100"
    const path = await make(join(folder, 'stereo.wav'), [stereo])

    const mean = (await decode(path)).segments[0]?.samples as Float32Array
    const first = (await decode(path, FIRST)).segments[0]?.samples as Float32Array

    const tones = (samples: Float32Array) =>
      [440, 1000].map((hertz) => amplitudeAt(hertz, samples, 16_000).toFixed(2))
    assert.equal(mean.length, 32_000)
    assert.deepEqual(tones(mean), ['0.40', '0.20'])
    assert.deepEqual(tones(first), ['0.80', '0.00'])
  })

  it('keeps the offset of audio that starts late, in every container', async () => {
    for (const name of ['late.mkv', 'late.ts', 'late.mp4']) {
      const chain = [
        '-filter_complex',
        '[1:a]asetpts=PTS+3/TB[a]',
        '-map',
        '0:v',
        '-map',
        '[a]',
        '-c:v',
        'mpeg2video',
        '-c:a',
        'mp2',
      ]
      const path = await make(join(folder, name), [`${VIDEO}:d=6`, 'sine=f=400:d=3'], chain)

      const { segments, outcome } = await decode(path)

      const samples = segments[0]?.samples as Float32Array
      assert.equal(peakOf(samples.subarray(0, 2.9 * 16_000)), 0, name)
      assert.ok(peakOf(samples.subarray(3.1 * 16_000, 5.8 * 16_000)) > 0.05, name)
      assert.ok(Math.abs(outcome.seconds - 6) < 0.15, `${name}: ${outcome.seconds}`)
    }
  })

  it('decodes the first track that is not silent', async () => {
    const tracks = ['-map', '0', '-map', '1', '-map', '2', ...MKV]
    const inputs = [`${VIDEO}:d=3`, 'anullsrc=r=16000:cl=mono:d=3', 'sine=f=500:r=16000:d=3']
    const path = await make(join(folder, 'two.mkv'), inputs, tracks)

    const { segments, outcome } = await decode(path)

    assert.ok(amplitudeAt(500, segments[0]?.samples as Float32Array, 16_000) > 0.05)
    assert.deepEqual(outcome.notes, ['AUDIO_TRACK_CHOSEN'])
  })

  it('decodes the first channel if channels cancel each other out', async () => {
    const antiphase = "aevalsrc='0.5*sin(2*PI*440*t)|-0.5*sin(2*PI*440*t)':d=12:s=44100"
    const path = await make(join(folder, 'antiphase.mkv'), [`${VIDEO}:d=12`, antiphase], MKV)

    const { segments, outcome } = await decode(path)

    const tones = segments.map(({ samples }) =>
      amplitudeAt(440, samples as Float32Array, 16_000).toFixed(2),
    )
    assert.deepEqual(tones, ['0.50', '0.50'])
    assert.deepEqual(outcome.notes, ['AUDIO_FIRST_CHANNEL'])
  })

  it('prefers an audible second track to a first that cancels itself out', async () => {
    const antiphase = "aevalsrc='0.5*sin(2*PI*440*t)|-0.5*sin(2*PI*440*t)':d=2:s=16000"
    const path = await make(
      join(folder, 'other.mkv'),
      [antiphase, 'sine=f=800:r=16000:d=2'],
      ['-map', '0', '-map', '1'],
    )

    const { segments, outcome } = await decode(path)

    assert.ok(amplitudeAt(800, segments[0]?.samples as Float32Array, 16_000) > 0.05)
    assert.deepEqual(outcome.notes, ['AUDIO_TRACK_CHOSEN'])
  })

  it('waits for a track that is silent at first, and decodes no other', async () => {
    const late = "aevalsrc='gt(t,12)*0.5*sin(2*PI*440*t)':d=15:s=16000"
    const tracks = ['-map', '0', '-map', '1', '-c:a', 'pcm_s16le']
    const path = await make(
      join(folder, 'late-audio.mkv'),
      [late, 'sine=f=800:r=16000:d=15'],
      tracks,
    )

    const { segments } = await decode(path)

    assert.equal(segments[0]?.samples, null)
    assert.ok(amplitudeAt(440, segments[1]?.samples as Float32Array, 16_000) > 0.2)
  })

  it('mixes 5.1, planar samples and unusual rates to the level of the tone', async () => {
    const layouts = {
      'surround.wav': [
        "aevalsrc='0|0|0.8*sin(2*PI*440*t)|0|0|0':c=5.1:d=1:s=48000",
        ['-c:a', 'pcm_s16le'],
      ],
      'planar.flac': [
        "aevalsrc='0.8*sin(2*PI*440*t)':d=1:s=11025,aformat=sample_fmts=s32p",
        ['-c:a', 'flac'],
      ],
      'unusual-rate.au': ["aevalsrc='0.8*sin(2*PI*440*t)':d=1:s=12347", ['-c:a', 'pcm_s16be']],
    } as const
    const amplitudes = []
    for (const [name, [input, output]] of Object.entries(layouts)) {
      const { segments } = await decode(await make(join(folder, name), [input], output))
      amplitudes.push(amplitudeAt(440, segments[0]?.samples as Float32Array, 16_000).toFixed(2))
    }

    // ffmpeg mixes 5.1 with weights of 1 (centre), √½ (each front) and ½ (each back): 2 + √2 in
    // all.
    assert.deepEqual(amplitudes, ['0.23', '0.80', '0.80'])
  })

  it('rejects a file with nothing but silence, and decodes faint audio', async () => {
    const path = await make(join(folder, 'silence.mp3'), ['anullsrc=d=2'])
    const quiet = await make(
      join(folder, 'quiet.wav'),
      ["aevalsrc='0.00005*sin(2*PI*440*t)':d=2"],
      ['-c:a', 'pcm_f32le'],
    )
    const faint = await make(
      join(folder, 'faint.wav'),
      ["aevalsrc='0.0002*sin(2*PI*440*t)':d=2"],
      ['-c:a', 'pcm_f32le'],
    )

    await assert.rejects(decode(path), { code: 'MEDIA_NO_CONTENT' })
    await assert.rejects(decode(quiet), { code: 'MEDIA_NO_CONTENT' })
    assert.equal((await decode(faint)).outcome.audible, true)
  })

  it('splits 25 seconds into three segments', async () => {
    const path = await make(join(folder, 'long.mkv'), [`${VIDEO}:d=25`, 'sine=d=25'], MKV)

    const { segments, outcome } = await decode(path)

    assert.deepEqual(
      segments.map(({ start, end }) => [start, end]),
      [
        [0, 10],
        [10, 20],
        [20, 25],
      ],
    )
    assert.deepEqual(
      segments.map(({ samples }) => samples?.length),
      [160_000, 160_000, 80_000],
    )
    assert.deepEqual(
      segments.map(({ frames }) => frames.length),
      [10, 10, 5],
    )
    assert.equal(outcome.seconds, 25)
  })

  it('drops a tail shorter than a second, but measures it', async () => {
    const path = await make(join(folder, 'tail.mkv'), [`${VIDEO}:d=10.6`, 'sine=d=10.6'], MKV)

    const { segments, outcome } = await decode(path)

    assert.deepEqual(
      segments.map(({ start, end }) => [start, end]),
      [[0, 10]],
    )
    assert.ok(Math.abs(outcome.seconds - 10.6) < 0.01)
  })

  it('leaves a stream empty after its end if the other is longer', async () => {
    const path = await make(join(folder, 'uneven.mkv'), [`${VIDEO}:d=4`, 'sine=d=15'], MKV)

    const { segments } = await decode(path)

    assert.deepEqual(
      segments.map(({ frames }) => frames.length > 0),
      [true, false],
    )
    assert.deepEqual(
      segments.map(({ samples }) => samples?.length),
      [160_000, 80_000],
    )
  })

  it('decodes a range, with times of the clip', async () => {
    const tones = "aevalsrc='0.5*sin(2*PI*(400+400*gte(t,12))*t)':d=30:s=16000"
    const path = await make(join(folder, 'range.mkv'), [`${VIDEO}:d=30`, tones], MKV)

    const { segments, outcome } = await decode(path, FORMAT, { range: { start: 12, end: 25 } })

    assert.deepEqual(
      segments.map(({ start, end }) => [start, end]),
      [
        [12, 22],
        [22, 25],
      ],
    )
    assert.deepEqual(
      segments.map(({ samples }) => samples?.length),
      [160_000, 48_000],
    )
    assert.deepEqual(
      segments.map(({ frames }) => frames.length),
      [10, 3],
    )
    assert.ok(amplitudeAt(800, segments[0]?.samples as Float32Array, 16_000) > 0.45)
    assert.equal(outcome.seconds, 13)
  })

  it('decodes only the requested modality', async () => {
    const path = await make(join(folder, 'one-modality.mkv'), [`${VIDEO}:d=2`, 'sine=d=2'], MKV)

    const audio = await decode(path, FORMAT, { only: 'audio' })
    const visual = await decode(path, FORMAT, { only: 'visual' })

    assert.deepEqual([audio.outcome.audible, audio.outcome.visible], [true, false])
    assert.deepEqual([visual.outcome.audible, visual.outcome.visible], [false, true])
  })

  it('keeps the clock if the channels change midway', async () => {
    const stereo = await make(join(folder, 'stereo.ac3'), ['sine=d=4:r=48000'], ['-ac', '2'])
    const surround = await make(join(folder, 'surround.ac3'), [
      'sine=d=4:r=48000,pan=5.1|c0=c0|c1=c0|c2=c0',
    ])
    const path = join(folder, 'changing.ac3')
    await writeFile(path, Buffer.concat([await readFile(stereo), await readFile(surround)]))

    const { outcome } = await decode(path)

    assert.ok(Math.abs(outcome.seconds - 8) < 0.1, `${outcome.seconds} s`)
    assert.deepEqual(outcome.notes, [])
  })

  it('does not fill a gap of a day with silence', async () => {
    const gap = "sine=d=2:r=16000,asetpts='if(lt(T,1),PTS,PTS+100000/TB)'"
    const path = await make(join(folder, 'gap.mkv'), [gap], ['-c:a', 'pcm_s16le'])

    const { outcome } = await decode(path)

    assert.ok(outcome.seconds < 10_000)
    assert.deepEqual(outcome.notes, ['DAMAGED'])
  })
})
