import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import type { Seq } from '../../src/domain/ids.js'
import type { Catalogue, CatalogueHeader } from '../../src/gallery/catalogue/catalogue.js'
import type { ChangePage } from '../../src/gallery/catalogue/change-log.js'
import { putClip } from '../../src/gallery/catalogue/write-clips.js'
import { newClip, segment } from './catalogue.js'

export const HEADER: CatalogueHeader = { fingerprint: 'a'.repeat(64), dimension: 4 }

/** Alternates long and short transactions, so that a short one can overtake a long one. */
const SEGMENTS = [200, 1]
const CLIPS = 120 // per writer

/** Writes as one of two processes. `place` distinguishes the clips of both. */
export async function writeAsOneOfTwo(catalogue: Catalogue, place: string): Promise<void> {
  for (let i = 0; i < CLIPS; i++) {
    const count = SEGMENTS[i % SEGMENTS.length] as number
    const segments = Array.from({ length: count }, (_, j) => segment(j))
    await putClip(catalogue, newClip(`/${place}/${i}`), segments)
  }
}

/**
 * Checks that a reader sees each row of the log once and in order while two processes write. A row
 * never appears before a row that the reader has passed. `writer` is a script that calls
 * `writeAsOneOfTwo` with its arguments.
 */
export function logOrderContract(
  name: string,
  open: () => Promise<Catalogue>,
  writer: { readonly script: string; readonly args: readonly string[] },
): void {
  it(`the log of the ${name} catalogue has the order of the commits`, async () => {
    await using catalogue = await open()
    const writers = ['one', 'two'].map((place) =>
      spawn(process.execPath, [writer.script, ...writer.args, place], { stdio: 'inherit' }),
    )
    let running = writers.length
    const ended = writers.map(async (child) => {
      const [code] = await once(child, 'exit')
      running--
      assert.equal(code, 0)
    })

    const seen: Seq[] = []
    let cursor: Seq = 0
    const follow = async () => {
      const page: ChangePage = await catalogue.log.read(cursor, 512)
      seen.push(...page.changes.map(({ seq }) => seq))
      cursor = page.cursor
      return page.changes.length
    }
    while (running > 0) {
      await follow()
      await new Promise(setImmediate)
    }
    await Promise.all(ended)
    while ((await follow()) > 0);

    const { changes } = await catalogue.log.read(0, 1_000_000)
    assert.deepEqual(
      seen,
      changes.map(({ seq }) => seq),
    )
    const rows = SEGMENTS.reduce((sum, count) => sum + 1 + 2 * count, 0) / SEGMENTS.length
    assert.equal(seen.length, 2 * CLIPS * rows)
  })
}
