import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { PACKAGE_DIR } from '../../src/config.js'
import { openMedia } from '../../src/media/media.js'
import { DecoderLog } from '../../src/media/process/decoder-log.js'
import { runFfmpeg } from '../../src/media/process/ffmpeg.js'
import { ffmpegBuild } from '../../src/media/process/ffmpeg-build.js'
import { MEDIA_LIMITS } from '../../src/media/staging/limits.js'
import { stageFile } from '../../src/media/staging/staged-file.js'
import { opened } from '../opened.js'
import { children, decode, FORMAT, make, temporaryFolder, withFake } from './helpers.js'

const folder = temporaryFolder()
const fixture = (name: string) => join(PACKAGE_DIR, 'test/fixtures', name)
const file = async (name: string, content: string | Buffer) => {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

const openPath = async (path: string) => openMedia(await opened(path), FORMAT)

describe('a file that is not media', () => {
  const rejected: Readonly<Record<string, readonly (string | Buffer)[]>> = {
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
  for (const [code, contents] of Object.entries(rejected)) {
    it(`is rejected as ${code}`, async () => {
      for (const [i, content] of contents.entries()) {
        await assert.rejects(
          openPath(await file(`${code}-${i}.mp4`, content)),
          { code },
          String(content),
        )
      }
    })
  }

  it('is rejected if it is missing, a folder, a device or a pipe', async () => {
    const pipe = join(folder, 'pipe.mp4')
    execFileSync('mkfifo', [pipe])
    const cases = {
      '/nowhere/at/all': 'FILE_NOT_FOUND',
      [folder]: 'FILE_UNREADABLE',
      '/dev/zero': 'FILE_UNREADABLE',
    }

    for (const [path, code] of Object.entries({ ...cases, [pipe]: 'FILE_UNREADABLE' })) {
      await assert.rejects(openPath(path), { code })
    }
  })

  it('is rejected as not recognised if it is noise', {
    concurrency: 1,
  }, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const path = await file('noise.mp3', noise(seed, 10_000_000))
      const since = performance.now()

      await assert.rejects(openPath(path), { code: 'MEDIA_NOT_RECOGNISED' }, `seed ${seed}`)
      assert.ok(performance.now() - since < 5000)
    }
  })

  it('is rejected if its format may open other files', async () => {
    const hls = Buffer.concat([
      Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n'),
      Buffer.from([1, 2, 3]),
    ])
    await assert.rejects(openPath(await file('binary.m3u8', hls)), {
      code: 'MEDIA_FORMAT_REFUSED',
      message: /hls/,
    })
  })

  it('is not read if an MP4 refers to it', async () => {
    const inside = await make(join(folder, 'self.mp4'), ['sine=d=1'], ['-c:a', 'aac'])
    const path = await file('outside.mp4', withAlias(await readFile(inside), 'media-data'))

    await assert.rejects(decode(path), { code: 'MEDIA_DAMAGED' })
  })
})

describe('a file longer than a clip may be', { concurrency: 2 }, () => {
  const DAY = MEDIA_LIMITS.clipSeconds
  const RATE_HZ = 1000

  it('is rejected by its header if it has enough bytes for the length', async () => {
    const path = await emptyWav('day.wav', DAY + 10, RATE_HZ)

    await assert.rejects(openPath(path), { code: 'MEDIA_TOO_LONG', message: /24 h/ })
    await assert.rejects(decode(path, FORMAT, { range: { start: DAY - 5, end: DAY + 5 } }), {
      code: 'MEDIA_TOO_LONG',
    })
  })

  it('is decoded up to the limit', async () => {
    const path = await emptyWav('almost.wav', DAY, RATE_HZ)

    const { outcome } = await decode(path, FORMAT, { range: { start: DAY - 5, end: DAY } })

    assert.equal(outcome.seconds, 5)
  })

  it('is decoded if it has too few bytes for the stated length', async () => {
    const bytes = await readFile(await emptyWav('short.wav', 2, RATE_HZ))
    bytes.writeUInt32LE(10 * DAY * RATE_HZ, bytes.indexOf('data') + 4)

    assert.equal((await decode(await file('claims.wav', bytes))).outcome.seconds, 2)
  })

  /**
   * Writes a sparse WAV of unsigned 8-bit zeros (a DC offset), with noise in the last second.
   * Returns the path.
   */
  async function emptyWav(name: string, seconds: number, rateHz: number): Promise<string> {
    const path = await make(
      join(folder, name),
      [`sine=d=0.1:r=${rateHz}`],
      ['-c:a', 'pcm_u8', '-bitexact'],
    )
    const header = (await readFile(path)).subarray(0, 44)
    header.writeUInt32LE(36 + seconds * rateHz, 4)
    header.writeUInt32LE(seconds * rateHz, 40)
    await writeFile(path, header)
    await truncate(path, 44 + seconds * rateHz)
    const end = await open(path, 'r+')
    await end.write(noise(1, rateHz), 0, rateHz, 44 + (seconds - 1) * rateHz)
    await end.close()
    return path
  }
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
  it('has exited after an abort, which rejects with its reason', async () => {
    const abort = new AbortController()
    const media = await openMedia(await opened(fixture('odd_one_hour.mkv')), FORMAT, {
      signal: abort.signal,
    })
    const segments = media.segments()
    await segments.next()
    assert.ok((await children()) > 0)

    abort.abort(new Error('enough'))

    await assert.rejects(drain(segments), /enough/)
    assert.equal(await children(), 0)
  })

  it('has exited after the reader returns, and its files are removed', async () => {
    const before = process.env.TMPDIR
    process.env.TMPDIR = join(folder, 'temporary')
    await mkdir(process.env.TMPDIR)
    const media = await openMedia(await opened(fixture('odd_one_hour.mkv')), FORMAT)

    for await (const _ of media.segments()) break

    assert.equal(await children(), 0)
    assert.deepEqual(readdirSync(tmpdir()), [])
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })

  it('waits for a slow reader', async () => {
    await using source = await stageFile(await opened(fixture('odd_one_hour.mkv')))
    const command = {
      input: [],
      output: ['-map', '0:a', '-f', 'f32le'],
      maxAllocationBytes: 2 ** 28,
      stallMs: 1000,
    }
    const chunks = runFfmpeg(source, command, new DecoderLog(source))

    await chunks.next()
    await wait(1500)

    assert.equal((await chunks.next()).done, false)
    await chunks.return()
  })

  it('is killed with its children when it makes no progress', async () => {
    const path = fixture('drumroll_cc0.mp4')
    await withFake(folder, '#!/bin/sh\nsleep 600.25\n', async () => {
      await using source = await stageFile(await opened(path))
      const command = {
        input: [],
        output: ['-f', 'f32le'],
        maxAllocationBytes: 2 ** 28,
        stallMs: 300,
      }

      await assert.rejects(drain(runFfmpeg(source, command, new DecoderLog(source))), {
        code: 'MEDIA_STALLED',
      })
    })
    assert.doesNotMatch(execFileSync('ps', ['-eo', 'args']).toString(), /^sleep 600\.25/m)
  })

  it('is missing: the error states how to install it', async () => {
    await withFake(folder, null, async () => {
      await assert.rejects(ffmpegBuild(), { code: 'FFMPEG_MISSING', message: /apt install ffmpeg/ })
      await assert.rejects(decode(fixture('drumroll_cc0.mp4')), { code: 'FFMPEG_MISSING' })
    })
  })

  it('is run once for its version', async () => {
    const program = execFileSync('which', ['ffmpeg']).toString().trim()
    const calls = join(folder, 'calls')
    await withFake(folder, `#!/bin/sh\necho >> ${calls}\nexec ${program} "$@"\n`, async () => {
      for (let i = 0; i < 2; i++) assert.match((await ffmpegBuild()).version, /^n?\d+\.|^N-/)
    })

    assert.equal((await readFile(calls, 'utf8')).length, 1)
  })
})

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

function noise(seed: number, bytes: number): Buffer {
  return createHash('shake128', { outputLength: bytes }).update(String(seed)).digest()
}

/**
 * Returns an MP4 whose data reference is an alias to another file. The boxes around it grow by as
 * much.
 */
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
