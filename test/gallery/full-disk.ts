import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { toAppError } from '../../src/errors.js'
import { putClip } from '../../src/gallery/catalogue/write-clips.js'
import { newClip, segment } from '../contract/catalogue.js'
import { randomUnit, seeded } from '../contract/vectors.js'
import { openKilled, STAMP } from './kill-writer.js'
import { openCatalogue } from './places.js'

/** Puts clips on a small disk until it is full, frees space, and continues. Prints the results. */
async function fill(dir: string): Promise<void> {
  const ballast = join(dir, 'ballast')
  writeFileSync(ballast, Buffer.alloc(2 ** 20))
  const random = seeded(1)
  const vector = () => randomUnit(STAMP.dimension, random)
  await using catalogue = await openCatalogue(dir, STAMP)
  await using gallery = await openKilled(dir, catalogue)
  const put = (i: number) => {
    const segments = Array.from({ length: 50 }, (_, j) =>
      segment(j * 10, { embeddings: { audio: vector(), visual: vector() } }),
    )
    return putClip(catalogue, newClip(`/${i}`), segments)
  }
  let clips = 0
  const full = await (async () => {
    for (; ; clips++) await put(clips)
  })().catch(toAppError)
  const searchable = (await gallery.check()).whole
  const db = new Database(join(dir, 'catalogue.db'), { readonly: true })
  const integrity = db.pragma('integrity_check', { simple: true })
  db.close()
  const kept = (await catalogue.counts()).clips

  rmSync(ballast)
  await put(clips)
  const { whole } = await gallery.check()
  console.log(JSON.stringify({ code: full.code, clips, kept, integrity, searchable, whole }))
}

const [, script = '', dir = ''] = process.argv
if (import.meta.url === pathToFileURL(script).href) await fill(dir)
