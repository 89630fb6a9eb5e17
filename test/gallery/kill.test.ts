import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { Gallery } from '../../src/gallery/gallery.js'
import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import { nearest, segments } from '../contract/vector-index.js'
import { freshlySeeded, randomUnit } from '../contract/vectors.js'
import { openKilled, STAMP } from './kill-writer.js'
import { newDir, openCatalogue } from './places.js'

const WRITER = fileURLToPath(new URL('kill-writer.js', import.meta.url))
const ROUNDS = 8

it('loses nothing that was acknowledged when it is killed at any instant', async (test) => {
  const dir = newDir()
  const random = freshlySeeded(test)
  const acknowledged = new Map<string, string>() // path → hash, or '' after removal

  for (let round = 0; round < ROUNDS; round++) {
    const inFlight = await writeUntilKilled(dir, round, 100 + random() * 700, acknowledged)

    await using catalogue = await openCatalogue(dir, STAMP)
    assert.equal(wholeness(dir), 'ok')
    const found = new Map(
      (await catalogue.clips({ limit: 100_000 })).map(({ path, hash }) => [path, hash]),
    )
    // The operation in flight is either complete or has no effect.
    if (inFlight) acknowledged.set(inFlight, found.get(inFlight) ?? '')
    for (const [path, hash] of acknowledged)
      assert.equal(found.get(path) ?? '', hash, `${path} in round ${round}`)
    for (const path of found.keys()) assert.ok(acknowledged.has(path), `${path} came from nowhere`)

    await using gallery = await openKilled(dir, catalogue)
    await using exact = await Gallery.open({
      catalogue,
      openIndex: async () => new MemoryIndex(STAMP.dimension),
    })
    const query = {
      vector: randomUnit(STAMP.dimension, random),
      modality: 'visual',
      limit: 10,
    } as const
    assert.deepEqual(segments(await nearest(gallery, query)), segments(await nearest(exact, query)))
    assert.equal((await gallery.check()).whole, true)
  }
  assert.ok(acknowledged.size > 20, `${acknowledged.size} clips were acknowledged`)
  assert.ok(readdirSync(join(dir, 'index')).length > 0)
})

/** Returns the path of a clip that the writer has begun and not acknowledged. */
async function writeUntilKilled(
  dir: string,
  round: number,
  afterMs: number,
  acknowledged: Map<string, string>,
) {
  const child = spawn(process.execPath, [WRITER, dir, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let begun: string | undefined
  const reading = (async () => {
    for await (const line of createInterface(child.stdout)) {
      const [word, path = '', hash = ''] = line.split(' ')
      if (word === 'begin') begun = path
      if (word === 'done') {
        acknowledged.set(path, hash)
        begun = undefined
      }
    }
  })()
  await once(child.stdout, 'data')
  await setTimeout(afterMs)
  child.kill('SIGKILL')
  const [, signal] = await exited
  await reading
  assert.equal(signal, 'SIGKILL')
  return begun
}

function wholeness(dir: string): unknown {
  const db = new Database(join(dir, 'catalogue.db'), { readonly: true })
  try {
    assert.deepEqual(db.pragma('foreign_key_check'), [])
    return db.pragma('integrity_check', { simple: true })
  } finally {
    db.close()
  }
}
