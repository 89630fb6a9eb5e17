import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { decode, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const VIDEO = 'testsrc2=s=176x144:r=10:d=2'
const AUDIO = 'sine=d=2:r=44100'

/** Files of old and uncommon devices and programs, with their encoders. */
const VIDEO_FILES: Readonly<Record<string, readonly string[]>> = {
  'camera.avi': ['-c:v', 'mjpeg', '-c:a', 'pcm_u8'],
  'phone.3gp': ['-c:v', 'h263', '-c:a', 'aac'],
  'tape.mpg': ['-c:v', 'mpeg1video', '-r', '25', '-c:a', 'mp2'],
  'screen.wmv': ['-c:v', 'wmv2', '-c:a', 'wmav2'],
  'edit.mov': ['-c:v', 'prores', '-c:a', 'pcm_s24le'],
  'web.ogv': ['-c:v', 'libtheora', '-c:a', 'libvorbis'],
  'stream.flv': ['-c:v', 'flv', '-c:a', 'mp3'],
}
const AUDIO_FILES: Readonly<Record<string, readonly string[]>> = {
  'apple.m4a': ['-c:a', 'alac'],
  'lossless.flac': ['-c:a', 'flac'],
  'packed.wv': ['-c:a', 'wavpack'],
  'true.tta': ['-c:a', 'tta'],
  'studio.aiff': ['-c:a', 'pcm_s24be'],
  'sun.au': ['-c:a', 'pcm_mulaw'],
  'floats.wav': ['-c:a', 'pcm_f64le'],
}

describe('uncommon formats', { concurrency: 2 }, () => {
  for (const [name, encoders] of Object.entries(VIDEO_FILES)) {
    it(`have audio and video: ${name}`, async () => {
      const { outcome } = await decode(
        await make(join(folder, name), [VIDEO, AUDIO], [...encoders, '-ar', '44100']),
      )

      assert.deepEqual([outcome.audible, outcome.visible, outcome.notes], [true, true, []])
      assert.ok(Math.abs(outcome.seconds - 2) < 0.2, `${outcome.seconds} s`)
    })
  }

  for (const [name, encoder] of Object.entries(AUDIO_FILES)) {
    it(`have audio: ${name}`, async () => {
      const { outcome } = await decode(await make(join(folder, name), [AUDIO], encoder))

      assert.deepEqual([outcome.audible, outcome.visible, outcome.notes], [true, false, []])
      assert.ok(Math.abs(outcome.seconds - 2) < 0.1, `${outcome.seconds} s`)
    })
  }
})
