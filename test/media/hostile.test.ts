import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { PACKAGE_DIR } from '../../src/config.js'
import { run } from '../../src/media/ffmpeg.js'
import { ffmpegVersion } from '../../src/media/ffmpeg-version.js'
import { openMedia } from '../../src/media/media.js'
import { Report } from '../../src/media/report.js'
import { openSource } from '../../src/media/source.js'
import { decode, FORMAT, make, temporaryFolder } from './made.js'

const folder = temporaryFolder()
const fixture = (name: string) => join(PACKAGE_DIR, 'test/fixtures', name)
const file = async (name: string, content: string | Buffer) => {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

describe('what is no media', () => {
  const refused: Readonly<Record<string, readonly (string | Buffer)[]>> = {
    MEDIA_IS_PLAYLIST: [
      '#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n',
      '#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n',
      "ffconcat version 1.0\nfile '/etc/passwd'\n",
      '[playlist]\nFile1=/etc/passwd\n',
      '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"></playlist>',
      '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\n',
      'REM GENRE x\nFILE "a.wav" WAVE\n  TRACK 01 AUDIO\n',
    ],
    MEDIA_IS_TEXT: [
      'hello',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      '1\n00:00:01,000 --> 00:00:02,000\nBonjour, ça va\n',
      Buffer.from('\ufeffsixteen bits', 'utf16le'),
      Buffer.from('sixteen bits', 'utf16le'),
      Buffer.from('un café très serré, bien sûr, merci'.repeat(9), 'latin1'),
      `${'é'.repeat(3000)}`,
    ],
    MEDIA_IS_ARCHIVE: [
      Buffer.from('PK\x03\x04\x14\0\0\0', 'latin1'),
      Buffer.from('\x1f\x8b\x08\0\0\0\0\0', 'latin1'),
      Buffer.from('7z\xbc\xaf\x27\x1c\0\x04', 'latin1'),
      Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\x0000'), Buffer.alloc(249)]),
    ],
    MEDIA_EMPTY: [''],
  }
  for (const [code, contents] of Object.entries(refused)) {
    it(`is refused as ${code}`, async () => {
      for (const [i, content] of contents.entries()) {
        await assert.rejects(openMedia(await file(`${code}-${i}.mp4`, content), FORMAT), { code }, String(content))
      }
    })
  }

  it('is refused where it is missing, a folder, a device, a pipe or closed to us', async () => {
    const pipe = join(folder, 'pipe.mp4')
    execFileSync('mkfifo', [pipe])
    const cases = { '/nowhere/at/all': 'FILE_NOT_FOUND', [folder]: 'FILE_UNREADABLE', '/dev/zero': 'FILE_UNREADABLE' }

    for (const [path, code] of Object.entries({ ...cases, [pipe]: 'FILE_UNREADABLE' })) {
      await assert.rejects(openMedia(path, FORMAT), { code })
    }
  })

  it('is refused as not recognised where it is noise, whatever the seed', { concurrency: 1 }, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const path = await file('noise.mp3', noise(seed, 10_000_000))
      const since = performance.now()

      await assert.rejects(openMedia(path, FORMAT), { code: 'MEDIA_NOT_RECOGNISED' }, `seed ${seed}`)
      assert.ok(performance.now() - since < 5000)
    }
  })

  it('is refused where its format may open other files', async () => {
    const hls = Buffer.concat([
      Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n'),
      Buffer.from([1, 2, 3]),
    ])
    await assert.rejects(openMedia(await file('binary.m3u8', hls), FORMAT), {
      code: 'MEDIA_FORMAT_REFUSED',
      message: /hls/,
    })
  })

  it('never reads what an mp4 refers to outside itself', async () => {
    const inside = await make(join(folder, 'self.mp4'), ['sine=d=1'], ['-c:a', 'aac'])
    const path = await file('outside.mp4', withAlias(await readFile(inside), 'media-data'))

    await assert.rejects(decode(path), { code: 'MEDIA_DAMAGED' })
  })
})

describe('names', () => {
  const names = [
    'a b.jpg',
    'frame%03d.jpg',
    'what*?[x]{y}.jpg',
    '-i.jpg',
    'http:x.jpg',
    'new\nline.jpg',
    'quo\'te".jpg',
    'ünï ☃.jpg',
    'x.m3u8',
  ]
  for (const name of names) {
    it(`opens ${JSON.stringify(name)}`, async () => {
      const path = join(folder, name)
      await copyFile(fixture('photo_dog.jpg'), path)

      const { outcome } = await decode(path)

      assert.equal(outcome.visible, true)
    })
  }

  it('follows links', async () => {
    await symlink(fixture('photo_dog.jpg'), join(folder, 'link'))

    assert.equal((await decode(join(folder, 'link'))).outcome.visible, true)
  })
})

describe('the ffmpeg process', () => {
  it('is gone after an abort, which rejects with its reason', async () => {
    const abort = new AbortController()
    const media = await openMedia(fixture('odd_one_hour.mkv'), FORMAT, { signal: abort.signal })
    const segments = media.segments()
    await segments.next()
    assert.ok((await children()) > 0)

    abort.abort(new Error('enough'))

    await assert.rejects(drain(segments), /enough/)
    assert.equal(await children(), 0)
  })

  it('is gone after the reader has left, and so are its files', async () => {
    const before = process.env.TMPDIR
    process.env.TMPDIR = join(folder, 'temporary')
    await mkdir(process.env.TMPDIR)
    const media = await openMedia(fixture('odd_one_hour.mkv'), FORMAT)

    for await (const _ of media.segments()) break

    assert.equal(await children(), 0)
    assert.deepEqual(readdirSync(tmpdir()), [])
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })

  it('waits for a slow reader', async () => {
    await using source = await openSource(fixture('odd_one_hour.mkv'))
    const job = { input: [], output: ['-map', '0:a', '-f', 'f32le'], largestAllocation: 2 ** 28, stallMs: 1000 }
    const chunks = run(source, job, new Report(source))

    await chunks.next()
    await wait(1500)

    assert.equal((await chunks.next()).done, false)
    await chunks.return()
  })

  it('is stopped when it makes no progress', async () => {
    const path = fixture('drumroll_cc0.mp4')
    await decode(path) // fluent-ffmpeg asks for capabilities once
    await withFake('#!/bin/sh\nexec sleep 60\n', async () => {
      await using source = await openSource(path)
      const job = { input: [], output: ['-f', 'f32le'], largestAllocation: 2 ** 28, stallMs: 300 }

      await assert.rejects(drain(run(source, job, new Report(source))), { code: 'MEDIA_STALLED' })
    })
    assert.equal(await children(), 0)
  })

  it('is asked for with the command that installs it', async () => {
    await withFake(null, async () => {
      await assert.rejects(ffmpegVersion(), { code: 'FFMPEG_MISSING', message: /apt install ffmpeg/ })
      await assert.rejects(decode(fixture('drumroll_cc0.mp4')), { code: 'FFMPEG_MISSING' })
    })
  })

  it('tells its version', async () => {
    assert.match(await ffmpegVersion(), /^n?\d+\.|^N-/)
  })
})

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** How many ffmpegs this process has. */
async function children(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'comm=', '--ppid', String(process.pid)])
  return stdout.split('\n').filter((name) => /ffmpeg|ffprobe|sleep/.test(name)).length
}

/** Runs with a script in the place of ffmpeg, or with none. */
async function withFake(script: string | null, what: () => Promise<void>): Promise<void> {
  const path = join(folder, 'fake', 'ffmpeg')
  await mkdir(join(folder, 'fake'), { recursive: true })
  if (script !== null) {
    await writeFile(path, script)
    await chmod(path, 0o755)
  }
  process.env.FFMPEG_PATH = script === null ? '/nowhere/ffmpeg' : path
  try {
    await what()
  } finally {
    delete process.env.FFMPEG_PATH
  }
}

function noise(seed: number, bytes: number): Buffer {
  return createHash('shake128', { outputLength: bytes }).update(String(seed)).digest()
}

/** An mp4 whose data reference is an alias to another file: the boxes above it grow by as much. */
function withAlias(mp4: Buffer, target: string): Buffer {
  const at = mp4.indexOf('url \0\0\0\x01', 0, 'latin1') - 4
  const alias = Buffer.alloc(12 + 150 + 40)
  alias.writeUInt32BE(alias.length, 0)
  alias.write('alis', 4, 'latin1')
  alias.write(`\x0a${target}`, 12 + 10, 'latin1')
  alias.writeInt16BE(2, 12 + 150) // a tag of type 2 is the absolute path
  alias.writeInt16BE(target.length, 12 + 152)
  alias.write(target, 12 + 154, 'latin1')
  alias.writeInt16BE(-1, 12 + 150 + 36)
  const grown = Buffer.concat([mp4.subarray(0, at), alias, mp4.subarray(at + 12)])
  for (const box of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref']) {
    const size = mp4.indexOf(box, 0, 'latin1') - 4
    grown.writeUInt32BE(mp4.readUInt32BE(size) + alias.length - 12, size)
  }
  return grown
}
