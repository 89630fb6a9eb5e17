import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it } from 'node:test'
import { zipSegments } from '../../src/media/decode/zip-segments.js'
import { decode, make, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()
const CODECS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac']

it('keeps the summary of a stream that ends segments before the other', async () => {
  const audio = (async function* () {
    yield { seconds: 10, samples: null }
    return { seconds: 10, audible: true, variant: null }
  })()
  const video = (async function* () {
    for (let i = 0; i < 3; i++) yield { seconds: 10, frames: [] }
    return { seconds: 30, decoded: true, inWindow: true, visible: false, track: null }
  })()
  const zipped = zipSegments(
    { audio, video, stop: new AbortController() },
    { start: 0, end: Infinity },
    10,
  )

  const segments = []
  let next = await zipped.next()
  for (; !next.done; next = await zipped.next()) segments.push(next.value)

  assert.equal(segments.length, 3)
  assert.equal(next.value.audio?.audible, true)
  assert.equal(next.value.video?.seconds, 30)
})

it('indexes a short tone under long black video, and short video over long silence', async () => {
  const black = 'color=black:s=64x48:r=5:d=35'
  const tone = await make(join(folder, 'tone.mp4'), [black, 'sine=f=500:d=8'], CODECS)
  const video = await make(
    join(folder, 'video.mp4'),
    ['testsrc2=s=64x48:r=5:d=8', 'anullsrc=d=35'],
    CODECS,
  )

  const ofTone = (await decode(tone)).outcome
  const ofVideo = (await decode(video)).outcome

  assert.deepEqual([ofTone.audible, ofTone.visible, ofTone.notes], [true, false, ['VISUAL_BLANK']])
  assert.deepEqual(
    [ofVideo.audible, ofVideo.visible, ofVideo.notes],
    [false, true, ['AUDIO_SILENT']],
  )
})
