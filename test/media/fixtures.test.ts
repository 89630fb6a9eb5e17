import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { PACKAGE_DIR } from '../../src/config.js'
import { AppError } from '../../src/errors.js'
import { openMedia } from '../../src/media/media.js'
import { opened } from '../opened.js'
import { decode, FORMAT } from './helpers.js'

interface Fixture {
  readonly file: string
  readonly end: 'both' | 'audio' | 'visual' | readonly string[]
  readonly notes: readonly string[]
  readonly seconds: number | null
}

const MAX_MEMORY_BYTES = 128 * 1024 ** 2 // an hour of audio alone is 230 MB
const FOLDER = join(PACKAGE_DIR, 'test/fixtures')
const { files }: { files: readonly Fixture[] } = JSON.parse(
  readFileSync(join(FOLDER, 'manifest.json'), 'utf8'),
)

describe('every fixture has the outcome of its manifest', { concurrency: 2 }, () => {
  for (const fixture of files) it(fixture.file, () => check(fixture))
})

async function check({ file, end, notes, seconds }: Fixture): Promise<void> {
  const path = join(FOLDER, file)
  if (typeof end !== 'string') {
    await assert.rejects(
      decode(path),
      (error) => error instanceof AppError && end.includes(error.code),
    )
    return
  }

  const expected = { audio: end !== 'visual', visual: end !== 'audio' }
  const media = await openMedia(await opened(path), FORMAT)
  let count = 0
  let bytes = 0
  for await (const { samples, frames } of media.segments()) {
    count++
    bytes = Math.max(bytes, process.memoryUsage().arrayBuffers)
    assert.equal(samples !== null, expected.audio)
    assert.equal(frames.length > 0, expected.visual)
    assert.ok(frames.every((frame) => frame.length === 64 * 64 * 3))
    assert.ok((samples?.length ?? 0) <= FORMAT.audio.samples)
  }
  const { audible, visible, notes: actualNotes, seconds: measured } = media.outcome

  assert.deepEqual({ audio: audible, visual: visible }, expected)
  assert.deepEqual(actualNotes, notes)
  assert.ok(Math.abs(measured - (seconds ?? 0)) < 0.1, `${measured} s is not ${seconds} s`)
  assert.equal(count, Math.max(1, Math.ceil((measured - 1) / FORMAT.seconds)))
  assert.ok(bytes < MAX_MEMORY_BYTES, `${bytes} bytes held`)
}
