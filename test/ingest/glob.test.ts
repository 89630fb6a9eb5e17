import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fileFilter } from '../../src/ingest/scan/file-filter.js'
import { compileGlob } from '../../src/ingest/scan/glob.js'

/** Maps a glob to paths that it matches and paths that it does not match. */
const CASES: Readonly<
  Record<string, readonly [matched: readonly string[], others: readonly string[]]>
> = {
  '*.wav': [
    ['a.wav', '.wav', 'a b.wav'],
    ['a.mp4', 'sub/a.wav', 'a.wave'],
  ],
  'a?c': [
    ['abc', 'a漢c', 'a🎵c'],
    ['ac', 'a/c', 'abbc'],
  ],
  '**/*.wav': [['a.wav', 'x/a.wav', 'x/y/a.wav'], ['a.mp4']],
  'drafts/**': [
    ['drafts', 'drafts/a', 'drafts/x/a'],
    ['draft', 'x/drafts/a'],
  ],
  'a/**/b': [
    ['a/b', 'a/x/b', 'a/x/y/b'],
    ['a/x', 'b', 'ab'],
  ],
  'a**b': [['ab', 'axxb'], ['a/b']],
  '[a-c]x': [
    ['ax', 'cx'],
    ['dx', 'x', 'a/x'],
  ],
  '[!a-c]x': [
    ['dx', '漢x'],
    ['ax', '/x'],
  ],
  '[]]x': [[']x'], ['x']],
  '[[:digit:]]x': [['1x'], ['ax']],
  '[abc': [['[abc'], ['a']],
  '*.{wav,mp{3,4}}': [
    ['a.wav', 'a.mp3', 'a.mp4'],
    ['a.mp', 'a.{wav,mp3}'],
  ],
  '{a{b},c}': [['a{b}', 'c'], ['ab']],
  '{a}': [['{a}'], ['a']],
  '{a,b': [['{a,b'], ['a']],
  'take{1..3}': [
    ['take1', 'take3'],
    ['take4', 'take1..3'],
  ],
  'a\\*b': [['a*b'], ['axb']],
  '!*.wav': [['a.mp4'], ['a.wav']],
  './sub/*': [['sub/a'], ['sub/x/a', 'sub']],
  'a+(1).[x]$^|': [['a+(1).x$^|'], ['aa1.x']],
}

describe('a glob', () => {
  for (const [glob, [matched, others]] of Object.entries(CASES)) {
    it(`${glob} matches what it says, and nothing else`, () => {
      const matches = compileGlob(glob)

      assert.deepEqual(matched.filter(matches), matched)
      assert.deepEqual(others.filter(matches), [])
    })
  }

  it('takes time in proportion to the name, however it is made', () => {
    const globs = [
      '*?*?*?*?*?*?*?*?*?*?*?*?Z',
      `${'*a'.repeat(400)}Z`,
      '{'.repeat(1000),
      `${'{a,'.repeat(250)}b${'}'.repeat(250)}`,
      '{*,*}'.repeat(150),
      '[a-'.repeat(300),
      '**/'.repeat(300),
    ]
    const started = performance.now()
    for (const glob of globs) {
      const matches = compileGlob(glob)
      for (let i = 0; i < 20; i++) matches('a'.repeat(250))
    }

    assert.ok(performance.now() - started < 20_000) // a backtracking matcher never ends
  })

  it('is refused where it cannot be read', () => {
    for (const glob of ['a'.repeat(2000), '[z-a]', '{1..100000}']) {
      assert.throws(() => compileGlob(glob), { code: 'GLOB_INVALID' }, glob.slice(0, 20))
    }
  })

  it('is refused, in no time, if it or its list is too large to match fast', () => {
    const ranges = `${'{1..1000}'.repeat(110)}a`
    const wildcards = Array.from({ length: 100 }, (_, i) => `${'*a'.repeat(500)}${i}`)
    const names = Array.from({ length: 100 }, (_, i) => `*recording number ${i} of the year*.wav`)
    const started = performance.now()

    assert.throws(() => compileGlob(ranges), { code: 'GLOB_INVALID' })
    assert.throws(() => fileFilter(Array(100).fill(ranges)), { code: 'GLOB_INVALID' })
    assert.throws(() => fileFilter([], wildcards), { code: 'GLOB_INVALID' })
    assert.equal(fileFilter(names).takes('recording number 7 of the year.wav'), true)

    assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`)
  })

  it('without a slash is of names at any depth', () => {
    const { takes, ignores } = fileFilter(['*.dat'], ['drafts', 'sub/*.dat'])

    assert.deepEqual(['a.dat', 'x/y/a.dat', 'sub/a.dat', 'a.wav'].map(takes), [
      true,
      true,
      false,
      false,
    ])
    assert.deepEqual(['x/drafts', 'drafts', 'draft'].map(ignores), [true, true, false])
  })
})
