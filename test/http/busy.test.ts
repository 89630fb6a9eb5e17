import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { tone } from '../ingest/tone.js'
import { fixture } from '../workplace.js'
import { filePart, postForm, served } from './served.js'

describe('a server with more to decode than it takes on', () => {
  it('refuses searches with 503 and Retry-After, and answers the others', async (test) => {
    const { url } = await served(test)
    const part = filePart(await readFile(fixture('orchestra_pd_photo_choir_cc0.mp4')), 'x.mp4')
    const to = { headers: ['Content-Disposition: form-data; name="to"'], data: 'audio' }

    const answers = await Promise.all(
      Array.from({ length: 60 }, () => postForm(`${url}/v1/search`, [part, to])),
    )

    const statuses = answers.map(({ status }) => status)
    assert.deepEqual(new Set(statuses), new Set([200, 503]))
    for (const answer of answers.filter(({ status }) => status === 503)) {
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
      assert.equal(((await answer.json()) as { code: string }).code, 'SERVER_BUSY')
    }
  })

  it('makes a thumbnail once for all who ask for it', async (test) => {
    const { app, url } = await served(test)
    const { clip } = await ingestFile(fixture('drumroll_cc0.mp4'), app)
    app.sources.add([clip.path])
    let most = 0
    let done = false
    const watching = (async () => {
      for (; !done; await setTimeout(5)) most = Math.max(most, await ffmpegs())
    })()

    const answers = await Promise.all(
      Array.from({ length: 16 }, () => fetch(`${url}/v1/clips/${clip.id}/thumbnail`)),
    )
    done = true
    await watching

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.ok(most <= 1, `${most} ffmpegs at once`)
  })

  it('tags no more of an upload than it searches by', async (test) => {
    const { url } = await served(test)
    const slow = tone(1, { seconds: 20 }) // with a header of 8 Hz it lasts 11 hours
    slow.writeUInt32LE(8, 24)
    slow.writeUInt32LE(16, 28)

    for (const route of ['/v1/tags', '/v1/search']) {
      const answer = await postForm(url + route, [filePart(slow, 'slow.wav')])
      assert.equal(((await answer.json()) as { code: string }).code, 'MEDIA_TOO_LONG')
    }
  })
})

async function ffmpegs(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'args='])
  return stdout.split('\n').filter((line) => /ffmpeg .*image2pipe/.test(line)).length
}
