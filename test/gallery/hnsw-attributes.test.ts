import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { SegmentAttributes } from '../../src/gallery/hnsw/attributes/segment-attributes.js'
import { ColumnReader, ColumnWriter } from '../../src/gallery/hnsw/column-file.js'
import { newDir } from './places.js'

const EXISTS = { op: 'exists', attribute: 'path' } as const

async function saved(attributes: SegmentAttributes): Promise<string> {
  const path = join(newDir(), 'attributes')
  await using writer = await ColumnWriter.create(path)
  await attributes.save(writer)
  return path
}

describe('the attributes of segments', () => {
  const rows = (attributes: SegmentAttributes) => [...attributes.select(EXISTS)]

  it('of a clip are forgotten with its last segment', () => {
    const attributes = new SegmentAttributes()
    attributes.setClip('a', { path: '/a' })
    for (const row of [0, 1]) attributes.setSegment(row, 'a', {})

    attributes.dropSegment(0)
    assert.deepEqual(rows(attributes), [1])
    attributes.dropSegment(1)
    attributes.setSegment(2, 'a', {})

    assert.deepEqual(rows(attributes), [])
  })

  it('of a clip whose segments never come are forgotten, and not before they can come', () => {
    const attributes = new SegmentAttributes()
    for (const clip of ['a', 'b']) attributes.setClip(clip, { path: clip })

    attributes.forgetUnused()
    attributes.setSegment(0, 'a', {})
    attributes.forgetUnused()
    attributes.setClip('c', { path: 'c' })
    attributes.forgetUnused()
    for (const [i, clip] of ['b', 'c'].entries()) attributes.setSegment(i + 1, clip, {})

    assert.deepEqual(rows(attributes), [0, 2])
  })

  it('of a clip in the place of one that was forgotten are kept as long', () => {
    const attributes = new SegmentAttributes()
    attributes.setClip('a', { path: '/a' })
    attributes.forgetUnused()
    attributes.setSegment(0, 'a', {})
    attributes.dropSegment(0)

    attributes.setClip('b', { path: '/b' })
    attributes.forgetUnused()
    attributes.setSegment(1, 'b', {})

    assert.deepEqual(rows(attributes), [1])
  })

  it('take no more room when they are replaced again and again', async () => {
    const attributes = new SegmentAttributes()
    for (let i = 0; i < 20_000; i++) {
      attributes.setClip('a', { path: `/${i}` })
      attributes.setSegment(i % 10, 'a', { 'label.a': i })
    }

    const path = await saved(attributes)

    assert.ok(statSync(path).size < 200_000, `${statSync(path).size} bytes`)
    const loaded = SegmentAttributes.load(await ColumnReader.open(path))
    const newest = { op: 'eq', attribute: 'path', value: '/19999' } as const
    assert.equal(loaded.select(newest).size, 10)
  })

  it('keep each string apart in a file', async () => {
    const attributes = new SegmentAttributes()
    const strings = ['', 'é', '\u{1f600}', 'a\0b', 'x'.repeat(10_000)]
    for (const [row, path] of strings.entries()) attributes.setSegment(row, 'a', { path })

    const loaded = SegmentAttributes.load(await ColumnReader.open(await saved(attributes)))

    for (const [row, value] of strings.entries())
      assert.deepEqual([...loaded.select({ op: 'eq', attribute: 'path', value })], [row])
  })
})
