import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { AppError } from '../../src/errors.js'
import { inParallel } from '../../src/ingest/in-parallel.js'
import { seeded } from '../contract/vectors.js'
import { children, decode, make, temporaryFolder } from './made.js'
import { MUTATIONS, mutated } from './mutated.js'

const folder = temporaryFolder()
const COUNT = 25
const REASONS = /^(MEDIA_|FILE_)/

it('ends every broken file as a clip or with a reason, and leaves nothing behind', async () => {
  const video = ['testsrc2=s=64x64:r=10:d=2', 'sine=d=2']
  const sources = await Promise.all(
    [
      make(join(folder, 'a.mp4'), video, ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac']),
      make(join(folder, 'b.mkv'), video, ['-c:v', 'mpeg4', '-c:a', 'libopus']),
      make(join(folder, 'c.ts'), video, ['-c:v', 'mpeg2video', '-c:a', 'mp2']),
      make(join(folder, 'd.png'), ['testsrc2=s=64x64:d=0.1:r=10'], ['-frames:v', '1']),
    ].map(async (path) => readFile(await path)),
  )
  const ends = new Set<string>()

  await inParallel(Array(COUNT).keys(), 2, async (i) => {
    const path = join(folder, `broken-${i}`)
    const [source, another] = [sources[i % 4], sources[(i + 1) % 4]] as [Buffer, Buffer]
    await writeFile(path, mutated(source, MUTATIONS[i % 3] as (typeof MUTATIONS)[number], another, seeded(i)))
    const end = await decode(path).then(({ segments }) => (segments.length > 0 ? 'clip' : 'nothing'), reasonOf)
    assert.match(end, /^clip$|^MEDIA_|^FILE_/, `file ${i}`)
    ends.add(end)
  })

  assert.ok(ends.has('clip') && ends.size > 1, [...ends].join())
  assert.equal(await children(), 0)
})

function reasonOf(error: unknown): string {
  if (error instanceof AppError && REASONS.test(error.code)) return error.code
  throw error
}
