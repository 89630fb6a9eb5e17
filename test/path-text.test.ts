import assert from 'node:assert/strict'
import { it } from 'node:test'
import { joinedPath, pathBytes, pathText, plainPath } from '../src/domain/path-text.js'
import { seeded } from './contract/vectors.js'

it('gives every path one text, and the path back from it', () => {
  const random = seeded(1)
  const bytes = [...Buffer.from('ab/\\x5ce9ü☃\u{1f3b5}\ufffd'), 0x80, 0xc3, 0xe9, 0xff]
  const texts = new Map<string, string>()
  for (let i = 0; i < 20_000; i++) {
    const path = Buffer.from(
      Array.from({ length: 1 + (i % 9) }, () => bytes[Math.floor(random() * bytes.length)] ?? 0),
    )
    const text = pathText(path)

    assert.deepEqual(pathBytes(text), path, text)
    assert.equal(plainPath(text), text)
    assert.equal(texts.get(text) ?? path.toString('hex'), path.toString('hex'))
    texts.set(text, path.toString('hex'))
  }
})

it('is what people read', () => {
  for (const path of ['/a/b.wav', '/käse/日本語 ☃.wav', '/a\\b', '/C:\\xyz', '/\ufffd']) {
    assert.equal(pathText(Buffer.from(path)), path)
  }
  assert.equal(
    pathText(Buffer.concat([Buffer.from('/käse/caf'), Buffer.of(0xe9)])),
    '/käse/caf\\xe9',
  )
  assert.equal(pathText(Buffer.from('/a\\xe9')), '/a\\x5cxe9')
})

it('has the text of its folder at its beginning', () => {
  const folder = Buffer.from([0x2f, 0xc3, 0xa4, 0xe9])
  const path = joinedPath(folder, Buffer.from([0xa9, 0x61]))

  assert.equal(pathText(path), `${pathText(folder)}/\\xa9a`)
})

it('hides no slash and no dot', () => {
  for (const text of ['/a\\x2f\\x2e\\x2e', '/\\x00', '/\\xE9'])
    assert.equal(pathBytes(text).toString(), text)
})
