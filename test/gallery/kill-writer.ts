import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Catalogue } from '../../src/gallery/catalogue/catalogue.js'
import { putClip, removeClip } from '../../src/gallery/catalogue/write-clips.js'
import { Gallery } from '../../src/gallery/gallery.js'
import { HnswIndex } from '../../src/gallery/hnsw/hnsw-index.js'
import { newClip, segment } from '../contract/catalogue.js'
import { randomUnit, seeded } from '../contract/vectors.js'
import { openCatalogue } from './places.js'

export const STAMP = { fingerprint: 'f'.repeat(64), dimension: 16 }

/** Opens a gallery that takes snapshots continuously, so that a kill can interrupt one. */
export function openKilled(dir: string, catalogue: Catalogue): Promise<Gallery> {
  const openIndex = (from: 'snapshot' | 'empty') =>
    HnswIndex.open({
      dir: join(dir, 'index'),
      ...STAMP,
      log: catalogue.log,
      from,
      snapshotAfter: 20,
    })
  return Gallery.open({ catalogue, openIndex })
}

/** Puts, replaces and removes clips until it is killed. Prints each start and end. */
async function write(dir: string, round: number): Promise<never> {
  const random = seeded(round)
  const catalogue = await openCatalogue(dir, STAMP)
  const gallery = await openKilled(dir, catalogue)
  for (let i = 0; ; i++) {
    const path = `/${round % 2}/${Math.floor(random() * 200)}`
    writeSync(1, `begin ${path}\n`)
    const hash =
      random() < 0.2
        ? await removed(catalogue, path)
        : await put(catalogue, path, `${round} ${i}`, random)
    writeSync(1, `done ${path} ${hash}\n`)
    if (i % 3 === 0) await gallery.follow()
  }
}

async function removed(catalogue: Catalogue, path: string): Promise<''> {
  const clip = await catalogue.clipAt(path)
  if (clip) await removeClip(catalogue, clip.id)
  return ''
}

async function put(
  catalogue: Catalogue,
  path: string,
  content: string,
  random: () => number,
): Promise<string> {
  const embeddings = () => ({
    audio: randomUnit(STAMP.dimension, random),
    visual: randomUnit(STAMP.dimension, random),
  })
  const segments = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, i) =>
    segment(i * 10, { embeddings: embeddings() }),
  )
  const { hash } = await putClip(
    catalogue,
    newClip(path, { hash: createHash('sha256').update(content).digest('hex') }),
    segments,
  )
  return hash ?? ''
}

const [, script = '', dir = '', round = '0'] = process.argv
if (import.meta.url === pathToFileURL(script).href) await write(dir, Number(round))
