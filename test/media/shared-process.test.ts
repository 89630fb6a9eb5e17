import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { MediaSegment, SegmentFormat } from '../../src/domain/segment-format.js'
import { openMedia } from '../../src/media/media.js'
import { opened } from '../opened.js'
import { FIXTURES } from '../workplace.js'
import { children, decode, FORMAT, make, temporaryFolder, withFake } from './helpers.js'

const folder = temporaryFolder()
const CODECS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'pcm_s16le']
/** Frames so large that a few seconds of them fill the buffer of a pipe. */
const LARGE: SegmentFormat = { ...FORMAT, visual: { ...FORMAT.visual, width: 256, height: 256 } }

describe('audio and video in one ffmpeg', () => {
  it('are decoded by one process', async () => {
    const segments = (
      await openMedia(await opened(join(FIXTURES, 'odd_one_hour.mkv')), FORMAT)
    ).segments()
    await segments.next()

    assert.equal(await children(), 1)
    await segments.return()
    assert.equal(await children(), 0)
  })

  it('equal what each is when decoded alone', async () => {
    for (const name of ['drumroll_cc0.mp4', 'ok_vp9_opus.webm', 'odd_vfr.mp4', 'odd_51_ac3.mkv']) {
      await assertSameAsAlone(join(FIXTURES, name))
    }
  })

  it('fall back to two processes if the audio has a long gap', async () => {
    const gap = "sine=d=4:r=16000,asetpts='if(lt(T,2),PTS,PTS+60/TB)'"
    await assertSameAsAlone(
      await make(join(folder, 'audio-gap.mkv'), ['testsrc2=s=64x64:r=2:d=64', gap], CODECS),
      LARGE,
    )
  })

  it('fall back to two processes if the video has a long gap', async () => {
    const slides = "testsrc2=s=64x64:r=1:d=2,setpts='if(lt(T,1),PTS,PTS+200/TB)'"
    const output = ['-fps_mode', 'passthrough', ...CODECS]
    await assertSameAsAlone(
      await make(join(folder, 'video-gap.mkv'), [slides, 'sine=d=202:r=16000'], output),
    )
  })

  it('fall back to two processes if the shared one fails', async () => {
    const program = execFileSync('which', ['ffmpeg']).toString().trim()
    const path = join(FIXTURES, 'drumroll_cc0.mp4')
    const expected = await decode(path)
    const failsIfShared = `#!/bin/sh\ncase "$*" in *pipe:3*) exit 1;; esac\nexec ${program} "$@"\n`

    await withFake(folder, failsIfShared, async () => {
      assert.deepEqual(await decode(path), expected)
    })
  })
})

/** Compares audio and video decoded together with each decoded alone. */
async function assertSameAsAlone(path: string, format: SegmentFormat = FORMAT): Promise<void> {
  const both = await decode(path, format)
  const audio = await decode(path, format, { only: 'audio' })
  const visual = await decode(path, format, { only: 'visual' })

  const samples = (segments: readonly MediaSegment[]) =>
    segments.flatMap(({ samples }) => (samples ? [samples] : []))
  const frames = (segments: readonly MediaSegment[]) => segments.map(({ frames }) => frames)
  assert.deepEqual(samples(both.segments), samples(audio.segments), path)
  assert.deepEqual(frames(both.segments), frames(visual.segments), path)
  assert.ok(both.segments.length >= audio.segments.length)
}
