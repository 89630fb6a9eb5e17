import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openMedia } from '../../src/media/media.js'
import { uintBE } from '../../src/media/probe/uint.js'
import { thumbnail } from '../../src/media/thumbnail.js'
import { opened } from '../opened.js'
import { FORMAT, temporaryFolder } from './helpers.js'

const folder = temporaryFolder()

function box(type: string, ...content: readonly (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(
    [type, ...content].map((part) => Buffer.from(part as string, 'latin1')),
  )
  return Buffer.concat([uintBE(bytes.length + 4, 4), bytes])
}

/** Returns the start of a HEIC file: its brands and the list of its items. */
function heic(version: 2 | 3, ...types: readonly string[]): Buffer {
  const items = types.map((type, i) => {
    const id =
      version === 2 ? `\0${String.fromCharCode(i + 1)}` : `\0\0\0${String.fromCharCode(i + 1)}`
    return box('infe', `${String.fromCharCode(version)}\0\0\0${id}\0\0${type}\0`)
  })
  const count = Buffer.from([0, types.length])
  return Buffer.concat([
    box('ftyp', 'heic\0\0\0\0mif1heic'),
    box('meta', '\0\0\0\0', box('iinf', '\0\0\0\0', count, ...items)),
  ])
}

describe('a HEIC image', () => {
  for (const version of [2, 3] as const) {
    it(`in tiles is rejected before decoding (items of version ${version})`, async () => {
      const path = join(folder, `tiles-${version}`)
      await writeFile(path, heic(version, 'hvc1', 'hvc1', 'hvc1', 'hvc1', 'grid'))
      const refused = {
        code: 'MEDIA_HEIF_UNSUPPORTED',
        message: /in tiles.*convert it to JPEG or PNG/,
      }
      await assert.rejects(openMedia(await opened(path), FORMAT), refused)
      await assert.rejects(
        thumbnail(await opened(path), { at: 0, target: join(folder, 'thumbnail.jpg') }),
        refused,
      )
    })
  }

  it('that ffmpeg does not open is not reported as damaged', async () => {
    const path = join(folder, 'one')
    await writeFile(path, heic(2, 'hvc1'))
    await assert.rejects(openMedia(await opened(path), FORMAT), {
      code: 'MEDIA_HEIF_UNSUPPORTED',
      message: /installed ffmpeg/,
    })
  })
})
