import assert from 'node:assert/strict'
import { once } from 'node:events'
import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { UploadStore } from '../../src/ingest/uploads.js'
import { dataLayout } from '../../src/storage/data-layout.js'
import { markRestored } from '../../src/storage/restore-mark.js'
import { eventually } from '../eventually.js'
import { tone } from '../ingest/tone.js'
import { children } from '../media/helpers.js'
import { fixture } from '../workplace.js'
import { FORM_TYPE, filePart, formBody, postForm, type Served, sendForm, served } from './served.js'

const clip = async (response: Response) =>
  (await response.json()) as { id: string; path: string; code?: string; detail?: string }

describe('equal uploads at the same time', () => {
  it('keep the file of an acknowledged clip when the other clients leave', async (test) => {
    const { url } = await served(test)
    for (let round = 0; round < 5; round++) {
      const body = formBody([filePart(tone(300 + 10 * round, { seconds: 3 }), 'x.wav')])
      const sockets = Array.from({ length: 6 }, () => sendForm(url, '/v1/clips', body))
      const [first] = await Promise.race(sockets.map((socket) => once(socket, 'data')))
      for (const socket of sockets) socket.destroy()

      const answer = String(first)
      assert.match(answer, /^HTTP\/1.1 201/)
      const { id } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
      await setTimeout(200)
      assert.equal((await fetch(`${url}/v1/clips/${id}/media`)).status, 200)
    }
  })

  it('are processed once and answered alike', async (test) => {
    const { app, url } = await served(test)
    const good = filePart(tone(440, { seconds: 2 }), 'a.wav')
    const silent = filePart(tone(440, { seconds: 2, gain: 0 }), 'b.wav')

    const answers = await Promise.all(
      [good, silent].map((part) =>
        Promise.all(Array.from({ length: 8 }, () => postForm(`${url}/v1/clips`, [part]))),
      ),
    )

    const [added = [], refused = []] = answers
    assert.deepEqual(new Set(added.map(({ status }) => status)), new Set([201]))
    assert.equal(new Set(await Promise.all(added.map(async (one) => (await clip(one)).id))).size, 1)
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([422]))
    for (const one of refused) {
      const { code, detail } = await clip(one)
      assert.equal(code, 'MEDIA_NO_CONTENT')
      assert.match(detail ?? '', /b\.wav/)
    }
    assert.equal((await app.gallery.catalogue.counts()).clips, 1)
    assert.equal((await stored(app.config.library.dataDir)).length, 1)
  })

  it('are each readable or removed, where they meet with removals', async (test) => {
    const { url } = await served(test)
    const part = filePart(tone(500, { seconds: 1 }), 'x.wav')
    for (let round = 0; round < 20; round++) {
      const { id } = await clip(await postForm(`${url}/v1/clips`, [part]))
      const [removed, again] = await Promise.all([
        fetch(`${url}/v1/clips/${id}`, { method: 'DELETE' }),
        postForm(`${url}/v1/clips`, [part]),
      ])
      assert.equal(removed.status, 204)
      const { id: next } = await clip(again)
      const media = await fetch(`${url}/v1/clips/${next}/media`)
      const shown = await fetch(`${url}/v1/clips/${next}`)
      assert.deepEqual([media.status, shown.status], next === id ? [404, 404] : [200, 200])
      await fetch(`${url}/v1/clips/${next}`, { method: 'DELETE' })
    }
  })
})

it('keeps what the client called a file', async (test) => {
  const { url } = await served(test)
  const part = filePart(tone(350, { seconds: 1 }), 'rain in the garden.wav')

  const { id } = await clip(await postForm(`${url}/v1/clips`, [part]))

  const shown = (await (await fetch(`${url}/v1/clips/${id}`)).json()) as { name: string }
  assert.equal(shown.name, 'rain in the garden.wav')
})

it('restores a stored file that is missing or cut from the same upload', async (test) => {
  const { url } = await served(test)
  const part = filePart(tone(350, { seconds: 1 }), 'x.wav')
  const { id, path } = await clip(await postForm(`${url}/v1/clips`, [part]))
  const media = () => fetch(`${url}/v1/clips/${id}/media`)

  await rm(path)
  assert.equal((await media()).status, 410)
  assert.equal((await postForm(`${url}/v1/clips`, [part])).status, 200)
  assert.equal((await media()).status, 200)

  await writeFile(path, 'cut')
  assert.equal((await postForm(`${url}/v1/clips`, [part])).status, 200)
  assert.deepEqual(Buffer.from(await (await media()).arrayBuffer()), part.data)
})

describe('a form', () => {
  const sound = tone(400, { seconds: 1 })
  const names: Record<string, string> = {
    'a long name of CJK characters': `${'漢'.repeat(90)}.wav`,
    'a name of emoji': `${'🎵'.repeat(80)}.wav`,
    'a path': '../../etc/passwd.wav',
    dots: '..',
    nothing: '',
  }
  for (const [what, name] of Object.entries(names)) {
    it(`is taken with a file called by ${what}`, async (test) => {
      const { url } = await served(test)

      assert.equal((await postForm(`${url}/v1/clips`, [filePart(sound, name)])).status, 201)
    })
  }

  it('is taken with a file that has no name', async (test) => {
    const { url } = await served(test)
    const headers = [
      'Content-Disposition: form-data; name="file"',
      'Content-Type: application/octet-stream',
    ]

    assert.equal((await postForm(`${url}/v1/clips`, [{ headers, data: sound }])).status, 201)
  })

  const refused: Record<string, readonly { headers: string[]; data: Buffer | string }[]> = {
    'two files': [filePart(sound, 'a.wav'), filePart(sound, 'b.wav')].map((part) => ({
      ...part,
      headers: [...part.headers],
    })),
    'no file': [{ headers: ['Content-Disposition: form-data; name="limit"'], data: '3' }],
    'a file of another name': [
      { headers: ['Content-Disposition: form-data; name="other"; filename="a.wav"'], data: sound },
    ],
    'a part without headers': [{ headers: [], data: Buffer.alloc(256 * 1024) }],
    'a part without a disposition': [
      { headers: ['Content-Type: audio/wav'], data: Buffer.alloc(256 * 1024) },
    ],
    'a disposition that is none': [
      { headers: ['Content-Disposition: attachment'], data: Buffer.alloc(256 * 1024) },
    ],
    'a part without a name': [
      { headers: ['Content-Disposition: form-data'], data: Buffer.alloc(256 * 1024) },
    ],
    'too many fields': Array.from({ length: 50 }, (_, i) => ({
      headers: [`Content-Disposition: form-data; name="field${i}"`],
      data: 'x',
    })),
  }
  for (const [what, parts] of Object.entries(refused)) {
    it(`is refused with ${what}`, async (test) => {
      const { app, url } = await served(test)

      const response = await postForm(`${url}/v1/search`, parts)

      assert.deepEqual([response.status, (await clip(response)).code], [400, 'REQUEST_INVALID'])
      assert.deepEqual(await readdir(join(app.config.library.dataDir, 'uploads')), [])
    })
  }
})

describe('a client that leaves', () => {
  for (const route of ['/v1/search', '/v1/tags', '/v1/clips']) {
    it(`right after it has sent a form to ${route} leaves nothing behind`, async (test) => {
      const { app, url } = await served(test)
      const body = formBody([filePart(await readFile(fixture('odd_one_hour.mkv')), 'x.mkv')])
      const left = () => readdir(join(app.config.library.dataDir, 'uploads'))

      for (let i = 0; i < 10; i++) {
        sendForm(url, route, body).destroy()
        const late = sendForm(url, route, body)
        await setTimeout(20 * i)
        late.destroy()
      }

      await eventually(left, (names) => names.length === 0)
      await eventually(children, (count) => count === 0)
    })
  }

  it('in the middle of a form leaves nothing behind', async (test) => {
    const { app, url } = await served(test)
    const body = formBody([filePart(tone(400, { seconds: 20 }), 'x.wav')])
    const left = () => readdir(join(app.config.library.dataDir, 'uploads'))

    const { hostname, port, host } = new URL(url)
    const socket = connect(Number(port), hostname)
    socket.write(headOf('/v1/clips', host, body.length))
    socket.write(body.subarray(0, 100_000))
    await eventually(left, (names) => names.length === 1)
    socket.destroy()

    await eventually(left, (names) => names.length === 0)
  })
})

describe('what a killed process has left', () => {
  it('is swept: partial uploads, and stored files without a clip', async (test) => {
    const { app, url } = await served(test)
    const { path, id } = await clip(
      await postForm(`${url}/v1/clips`, [filePart(tone(300, { seconds: 1 }), 'x.wav')]),
    )
    const { dataDir } = app.config.library
    const orphan = join(dataDir, 'media', 'aa', `${'a'.repeat(64)}.wav`)
    const own = join(dataDir, 'media', 'notes.txt')
    await mkdir(join(dataDir, 'media', 'aa'), { recursive: true })
    for (const file of [orphan, own]) await writeFile(file, 'x')
    const uploads = storeOf(app)

    assert.equal(await uploads.sweep(app.gallery), 1)

    await assert.rejects(access(orphan))
    for (const file of [path, own]) await access(file)
    assert.equal((await fetch(`${url}/v1/clips/${id}/media`)).status, 200)
  })

  it('is kept where the library was restored from a backup that may be older', async (test) => {
    const { app } = await served(test)
    const { dataDir } = app.config.library
    const orphan = join(dataDir, 'media', 'aa', `${'a'.repeat(64)}.wav`)
    await mkdir(join(dataDir, 'media', 'aa'), { recursive: true })
    await writeFile(orphan, 'x')
    await markRestored(join(dataDir, 'media'))

    assert.equal(await storeOf(app).sweep(app.gallery), 0)
    await access(orphan)
  })
})

it('is refused with 503 while more uploads arrive than may', async (test) => {
  const { url } = await served(test)
  const { hostname, port, host } = new URL(url)
  const open = Array.from({ length: 64 }, () => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(`${headOf('/v1/search', host, 100_000)}--X\r\n`)
    test.after(() => socket.destroy())
    return socket
  })
  const body = [filePart(tone(300, { seconds: 1 }), 'x.wav')]

  const refused = await eventually(
    () => postForm(`${url}/v1/search`, body),
    ({ status }) => status === 503,
  )
  for (const socket of open) socket.destroy()

  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.equal((await clip(refused)).code, 'SERVER_BUSY')
  await eventually(
    async () => (await postForm(`${url}/v1/search`, body)).status,
    (status) => status === 200,
  )
})

function storeOf({ config }: Served['app']): UploadStore {
  const { dataDir } = config.library
  return new UploadStore(dataLayout(dataDir))
}

async function stored(dataDir: string): Promise<readonly string[]> {
  const names = await readdir(join(dataDir, 'media'), { recursive: true })
  return names.filter((name) => name.length > 64)
}

/** Returns the head of a request that sends a form. */
function headOf(path: string, host: string, bytes: number): string {
  const type = `Content-Type: ${FORM_TYPE['content-type']}`
  const lines = [`POST ${path} HTTP/1.1`, `Host: ${host}`, type, `Content-Length: ${bytes}`]
  return `${lines.join('\r\n')}\r\n\r\n`
}
