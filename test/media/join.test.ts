import assert from 'node:assert/strict'
import { join as joinPath } from 'node:path'
import { it } from 'node:test'
import { zipSegments } from '../../src/media/decode/zip-segments.js'
import { decode, make, temporaryFolder } from './made.js'

const folder = temporaryFolder()
const CODECS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac']

it('keeps the summary of the half that ends segments before the other', async () => {
  const sound = (async function* () {
    yield { seconds: 10, samples: null }
    return { seconds: 10, audible: true, variant: null }
  })()
  const picture = (async function* () {
    for (let i = 0; i < 3; i++) yield { seconds: 10, frames: [] }
    return { seconds: 30, decoded: true, inWindow: true, visible: false, track: null }
  })()
  const joined = zipSegments(
    { audio: sound, video: picture, stop: new AbortController() },
    { start: 0, end: Infinity },
    10,
  )

  const segments = []
  let next = await joined.next()
  for (; !next.done; next = await joined.next()) segments.push(next.value)

  assert.equal(segments.length, 3)
  assert.equal(next.value.audio?.audible, true)
  assert.equal(next.value.video?.seconds, 30)
})

it('indexes a short tone under a long black picture, and a short picture over long silence', async () => {
  const black = 'color=black:s=64x48:r=5:d=35'
  const tone = await make(joinPath(folder, 'tone.mp4'), [black, 'sine=f=500:d=8'], CODECS)
  const picture = await make(
    joinPath(folder, 'seen.mp4'),
    ['testsrc2=s=64x48:r=5:d=8', 'anullsrc=d=35'],
    CODECS,
  )

  const heard = (await decode(tone)).outcome
  const seen = (await decode(picture)).outcome

  assert.deepEqual([heard.audible, heard.visible, heard.notes], [true, false, ['VISUAL_BLANK']])
  assert.deepEqual([seen.audible, seen.visible, seen.notes], [false, true, ['AUDIO_SILENT']])
})
